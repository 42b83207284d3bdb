/**
 * `<popular-posts>`: the popular posts of a blog, on any page. No dependencies, no build. See docs/element.md.
 *
 * @typedef {{ slug: string, title: string, url: string, views: number }} Post the fields of a post that the element uses
 * @typedef {'fresh' | 'kept' | 'failed'} State of the list: from the service, from an earlier visit, none
 */

/** The key prefix in local storage of the last good list of each address. */
const KEPT = 'popular-posts:'
/** The timeout of a request. */
const PATIENCE_MS = 10_000
const DEFAULT_LIMIT = 10
const PARAMETERS = ['days', 'limit', 'sort', 'category', 'tag', 'author']
/** Default texts; attributes such as `text-empty` replace them. */
const TEXTS = {
  'text-view': 'view',
  'text-views': 'views',
  'text-empty': 'Nothing here yet.',
  'text-kept': 'Out of reach right now: this is the list as it last was.',
  'text-failed': 'The popular posts cannot be loaded right now.',
}

// Colours are lighter shades of the surrounding text colour, so they suit dark pages, too.
const STYLE = `
:host { display: block; color: var(--popular-posts-color, inherit) }
:host([hidden]) { display: none }
div { line-height: 1.4; --lines: var(--popular-posts-lines, 2); --gap: var(--popular-posts-gap, .6em);
  --thin: var(--popular-posts-line-color, color-mix(in srgb, currentColor 16%, transparent));
  --quiet: var(--popular-posts-quiet-color, color-mix(in srgb, currentColor 72%, transparent)) }
ol { margin: 0; padding: 0; list-style: none; counter-reset: rank }
li { padding-block: var(--gap); border-block-start: 1px solid var(--thin);
  display: grid; grid-template-columns: auto 1fr; column-gap: .8em; counter-increment: rank }
li:first-child { border-color: transparent }
li::before { content: counter(rank); color: var(--popular-posts-rank-color, var(--quiet)); min-inline-size: 1.3em;
  text-align: end; font-variant-numeric: tabular-nums; font-weight: var(--popular-posts-rank-weight, 600) }
a, b { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: var(--lines); overflow: hidden;
  color: inherit; font-weight: inherit; text-decoration: none; overflow-wrap: anywhere }
a:hover { text-decoration: underline; text-underline-offset: .15em }
a:focus-visible { outline: 2px solid var(--popular-posts-focus-color, currentColor); outline-offset: 2px; border-radius: 2px }
small { display: block; font-size: .85em; color: var(--quiet); font-variant-numeric: tabular-nums }
[part=bars] { block-size: calc(var(--lines) * 1.4em + var(--meta) * 1.19em); overflow: hidden }
i { display: block; block-size: .8em; margin-block-start: .3em; border-radius: .3em; background: var(--thin);
  animation: breathe 1.6s ease-in-out infinite alternate }
i + i { inline-size: 55% }
p { margin: 0; padding-block: var(--gap); font-size: .85em; color: var(--quiet) }
p:empty { padding: 0 }
@keyframes breathe { to { opacity: .45 } }
@media (prefers-reduced-motion: reduce) { i { animation: none } }`

export class PopularPosts extends HTMLElement {
  static observedAttributes = [
    'src',
    'exclude',
    'label',
    'views',
    'link',
    'record',
    ...PARAMETERS,
    ...Object.keys(TEXTS),
  ]

  #box = document.createElement('div')
  #list = document.createElement('ol')
  /** Exists from the start, because screen readers announce only changes of its text. */
  #status = document.createElement('p')
  #loading = new AbortController()
  #connection = new AbortController()
  #isScheduled = false
  /** The address of the list that is shown. */
  #shown = ''
  #recorded = ''

  constructor() {
    super()
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(STYLE)
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [sheet]
    this.#box.part.add('box')
    this.#list.part.add('list')
    // Safari does not expose lists without bullets as lists.
    this.#list.setAttribute('role', 'list')
    this.#status.part.add('status')
    this.#status.setAttribute('role', 'status')
    this.#box.append(this.#list, this.#status)
    root.append(this.#box)
  }

  connectedCallback() {
    this.#connection = new AbortController()
    const { signal } = this.#connection
    for (const change of ['visibilitychange', 'prerenderingchange'])
      document.addEventListener(change, () => this.#record(), { signal })
    window.addEventListener('online', () => this.refresh(), { signal })
    this.#schedule()
  }

  disconnectedCallback() {
    this.#connection.abort()
    this.#loading.abort()
    this.#shown = ''
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#schedule()
  }

  /** Requests the list again, revalidating the browser's cache (a `304` if nothing has changed). Never rejects. */
  async refresh() {
    await this.#load('no-cache')
  }

  /** Merges changes of several attributes into one request. */
  #schedule() {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      if (!this.isConnected) return
      this.#record()
      void this.#load('default')
    })
  }

  /** @param {RequestCache} cache */
  async #load(cache) {
    this.#loading.abort()
    const loading = new AbortController()
    this.#loading = loading
    const late = setTimeout(() => loading.abort(), PATIENCE_MS)
    const address = this.#address()
    this.#list.setAttribute('aria-label', this.getAttribute('label') ?? 'Popular posts')
    const written = this.#shown === '' ? this.#written() : undefined
    if (written !== undefined) this.#show(written, 'fresh')
    else if (this.#shown !== address) this.#showSkeleton()
    this.#list.setAttribute('aria-busy', 'true')
    /** @type {{ posts: Post[], ageSeconds?: number | undefined } | undefined} */
    let found
    /** @type {State} */
    let state = 'fresh'
    try {
      const response = await fetch(address, { cache, signal: loading.signal })
      if (!response.ok) throw new Error(`expected a list, got ${response.status}`)
      // A cross-origin reply hides this header unless it allows access.
      const age = response.headers.get('age')
      found = { posts: postsOf(await response.json()), ageSeconds: age === null ? undefined : Number(age) }
      keep(address, found.posts)
    } catch {
      if (loading === this.#loading) found = kept(address) ?? (written?.length ? { posts: written } : undefined)
      state = found === undefined ? 'failed' : 'kept'
    } finally {
      clearTimeout(late)
    }
    // A later request has started, or the element was removed.
    if (loading !== this.#loading || !this.isConnected) return
    this.#list.setAttribute('aria-busy', 'false')
    this.#show(found?.posts ?? [], state)
    this.#shown = address
    const detail = { state, posts: found?.posts ?? [], ageSeconds: found?.ageSeconds }
    this.dispatchEvent(new CustomEvent('popular-posts', { bubbles: true, composed: true, detail }))
  }

  #address() {
    const address = this.#source()
    for (const name of PARAMETERS) {
      const value = this.getAttribute(name)
      if (value !== null) address.searchParams.set(name, value)
    }
    for (const slug of (this.getAttribute('exclude') ?? '').split(/\s+/).filter(Boolean))
      address.searchParams.append('exclude', slug)
    return address.href
  }

  #source() {
    return new URL(this.getAttribute('src') ?? '/posts/popular', document.baseURI)
  }

  /**
   * Reads the list that the page's server rendered into the element; it is shown until the service replies.
   * @returns {Post[] | undefined}
   */
  #written() {
    if (this.querySelector('ol') === null) return undefined
    return [...this.querySelectorAll('li')].map((row) => {
      const link = row.querySelector('a')
      const { slug = '', views } = row.dataset
      return { slug, title: link?.textContent ?? '', url: link?.href ?? '', views: Number(views) }
    })
  }

  /** Reserves space for the longest possible list, so that its arrival moves no content. */
  #showSkeleton() {
    const rows = Math.min(Math.max(Math.trunc(Number(this.getAttribute('limit'))) || DEFAULT_LIMIT, 1), 50)
    this.#box.style.setProperty('--meta', this.hasAttribute('views') ? '1' : '0')
    this.#status.textContent = ''
    this.#list.replaceChildren(
      ...Array.from({ length: rows }, () => {
        const row = element('li', 'item skeleton')
        row.setAttribute('aria-hidden', 'true')
        const bars = element('span', 'bars')
        bars.append(element('i', 'bar'), element('i', 'bar'))
        row.append(bars)
        return row
      }),
    )
  }

  /**
   * @param {Post[]} posts
   * @param {State} state
   */
  #show(posts, state) {
    const before = new Map(
      [...this.#list.children].map((row, index) => [row.id, { index, top: row.getBoundingClientRect().top }]),
    )
    const focused = this.shadowRoot?.activeElement?.closest('li')?.id
    const isCounted = this.hasAttribute('views')
    // Posts without views are not shown.
    const rows = posts.filter(({ views }) => !(isCounted && views === 0)).map((post) => this.#row(post))
    this.#list.replaceChildren(...rows)
    for (const [index, row] of rows.entries()) {
      const was = before.get(row.id)
      if (was === undefined || was.index === index) continue
      row.part.add(was.index > index ? 'up' : 'down')
      move(row, was.top - row.getBoundingClientRect().top)
    }
    if (focused !== undefined)
      rows
        .find(({ id }) => id === focused)
        ?.querySelector('a')
        ?.focus()
    this.#status.textContent =
      state === 'failed' || state === 'kept'
        ? this.#text(`text-${state}`)
        : rows.length > 0
          ? ''
          : this.#text('text-empty')
  }

  /** @param {Post} post */
  #row({ slug, title, url, views }) {
    const row = element('li', 'item')
    row.id = `post-${slug}`
    const body = element('span', 'body')
    const href = this.#linkTo(slug, url)
    const name = href === undefined ? element('b', 'title') : element('a', 'title link')
    if (name instanceof HTMLAnchorElement && href !== undefined) name.href = href
    name.textContent = title
    body.append(name)
    if (this.hasAttribute('views') && Number.isFinite(views)) {
      const count = element('small', 'views')
      // Without a singular the plural is used for every number, for other languages.
      const isOne = views === 1 && (this.hasAttribute('text-view') || !this.hasAttribute('text-views'))
      count.textContent = `${views.toLocaleString()} ${this.#text(isOne ? 'text-view' : 'text-views')}`
      body.append(count)
    }
    row.append(body)
    return row
  }

  /**
   * The address of a post: its URL, or, if that is a path (of a site that may not be this one), by the `link` template.
   * @param {string} slug
   * @param {unknown} url
   */
  #linkTo(slug, url) {
    const link = this.getAttribute('link')
    const isWhole = link === null || /^https?:\/\//i.test(String(url))
    return linkTo(isWhole ? url : link.replace('{slug}', encodeURIComponent(slug)))
  }

  /** @param {keyof typeof TEXTS} name */
  #text(name) {
    return this.getAttribute(name) ?? TEXTS[name]
  }

  /**
   * Records a view of this page once it is visible: not while it is prerendered or in the background.
   */
  #record() {
    const slug = this.getAttribute('record') ?? ''
    const isPrerendering = 'prerendering' in document && document.prerendering === true
    if (slug === '' || slug === this.#recorded || isPrerendering || document.visibilityState !== 'visible') return
    this.#recorded = slug
    // A beacon is sent although the reader leaves the page; its reply is not needed.
    navigator.sendBeacon?.(new URL(`${encodeURIComponent(slug)}/views`, this.#source()))
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} part
 */
function element(name, part) {
  const made = document.createElement(name)
  made.setAttribute('part', part)
  return made
}

/**
 * The address to link to; `undefined` for `javascript:` and other schemes than http and https.
 * @param {unknown} url
 */
function linkTo(url) {
  try {
    const { protocol, href } = new URL(String(url), document.baseURI)
    return protocol === 'https:' || protocol === 'http:' ? href : undefined
  } catch {
    return undefined
  }
}

/**
 * @param {unknown} value
 * @returns {Post[]}
 * @throws an error if the value is no list of posts.
 */
function postsOf(value) {
  if (!Array.isArray(value)) throw new TypeError('expected a list')
  return value.filter((post) => typeof post?.title === 'string')
}

/**
 * Stores a list. Storage may be forbidden or full.
 * @param {string} address
 * @param {Post[]} posts
 */
function keep(address, posts) {
  try {
    const used = posts.map(({ slug, title, url, views }) => ({ slug, title, url, views }))
    localStorage.setItem(KEPT + address, JSON.stringify(used))
  } catch {
    // Without it no list is shown while the service does not answer.
  }
}

/** @param {string} address */
function kept(address) {
  try {
    return { posts: postsOf(JSON.parse(localStorage.getItem(KEPT + address) ?? '')) }
  } catch {
    return undefined
  }
}

/**
 * @param {HTMLElement} row
 * @param {number} fromPx the old position, relative to the new one
 */
function move(row, fromPx) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return
  row.animate([{ transform: `translateY(${fromPx}px)` }, {}], { duration: 500, easing: 'cubic-bezier(.3, .8, .3, 1)' })
}

// If a page loads the script twice, the first definition is used.
if (customElements.get('popular-posts') === undefined) customElements.define('popular-posts', PopularPosts)
