/**
 * `<popular-posts>`: the popular posts of a blog, on any page. No dependencies, no build. See docs/element.md, and
 * popular-posts.d.ts for the types.
 *
 * @typedef {import('./popular-posts.d.ts').PopularPostsItem} Post
 * @typedef {import('./popular-posts.d.ts').PopularPostsState} State
 */

/** The key in local storage of the last good lists. */
const KEPT = 'popular-posts'
/** The most lists in storage. */
const KEPT_LISTS = 5
/** The most characters in storage: 2 % of what browsers allow a site. */
const KEPT_LENGTH = 100_000
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
  'text-untitled': 'Untitled',
}
/** Texts for the plural forms that English does not have. */
const PLURALS = ['zero', 'one', 'two', 'few', 'many'].map((form) => `text-views-${form}`)
/** A field of a post in a template: `{title}`, `{author.name}`. */
const FIELD = /\{([\w.]+)\}/g
/** The attributes of a template that may have fields. Others may run code. */
const TEXT_ATTRIBUTES = /^(?:alt|class|datetime|id|title|aria-.+|data-.+)$/

// Colours are lighter shades of the surrounding text colour, so they suit dark pages, too.
const STYLE = `
:host { display: block; color: var(--popular-posts-color, inherit) }
:host([hidden]) { display: none }
slot[hidden], ol:empty { display: none }
div { line-height: 1.4; --lines: var(--popular-posts-lines, 2); --gap: var(--popular-posts-gap, .6em);
  --thin: var(--popular-posts-line-color, color-mix(in srgb, currentColor 16%, transparent));
  --quiet: var(--popular-posts-quiet-color, color-mix(in srgb, currentColor 72%, transparent));
  --image: var(--popular-posts-image-size, 4em) }
ol { margin: 0; padding: 0; list-style: none; counter-reset: rank }
li { padding-block: var(--gap); border-block-start: 1px solid var(--thin);
  display: grid; grid-template-columns: auto 1fr; column-gap: .8em; counter-increment: rank }
li:first-child { border-color: transparent }
li::before { content: counter(rank); color: var(--popular-posts-rank-color, var(--quiet)); min-inline-size: 1.3em;
  text-align: end; font-variant-numeric: tabular-nums; font-weight: var(--popular-posts-rank-weight, 600) }
a, b, [part=excerpt] { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: var(--lines);
  overflow: hidden; overflow-wrap: anywhere }
a, b { color: inherit; font-weight: inherit; text-decoration: none }
img { grid-column: 3; inline-size: var(--image); block-size: var(--image); object-fit: cover; border-radius: .3em }
[part=excerpt] { -webkit-line-clamp: 2 }
a:hover { text-decoration: underline; text-underline-offset: .15em }
a:focus-visible { outline: 2px solid var(--popular-posts-focus-color, currentColor); outline-offset: 2px; border-radius: 2px }
small { display: block; font-size: .85em; color: var(--quiet); font-variant-numeric: tabular-nums }
[part=bars] { block-size: max(calc(var(--lines) * 1.4em + var(--small) * 1.19em), var(--least)); overflow: hidden }
i { display: block; block-size: .8em; margin-block-start: .3em; border-radius: .3em; background: var(--thin);
  animation: breathe 1.6s ease-in-out infinite alternate }
i + i { inline-size: 55% }
p { margin: 0; padding-block: var(--gap); font-size: .85em; color: var(--quiet) }
p:empty { padding: 0 }
@keyframes breathe { to { opacity: .45 } }
@media (prefers-reduced-motion: reduce) { i { animation: none } }`

/** A server that renders pages may import this file, too. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? Object)

export class PopularPosts extends Base {
  static observedAttributes = [
    'src',
    'exclude',
    'label',
    'views',
    'show',
    'link',
    'record',
    'record-src',
    ...PARAMETERS,
    ...Object.keys(TEXTS),
    ...PLURALS,
  ]

  /** Shows what the page has in the element, until there is a list. */
  #content = document.createElement('slot')
  /** The list of a template. It is outside the shadow tree, so the page styles it. */
  #own = document.createElement('ol')
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
    const own = document.createElement('slot')
    own.name = 'list'
    this.#own.slot = 'list'
    this.#own.setAttribute('role', 'list')
    root.append(this.#content, own, this.#box)
    // The parser, or a framework, may add the content later than the element.
    this.#content.addEventListener('slotchange', () => {
      if (this.#shown !== '' || !this.#hasContent()) return
      this.#list.replaceChildren()
      this.#content.hidden = false
    })
  }

  connectedCallback() {
    this.#connection = new AbortController()
    const { signal } = this.#connection
    for (const change of ['visibilitychange', 'prerenderingchange'])
      document.addEventListener(change, () => this.#record(), { signal })
    window.addEventListener('online', () => this.refresh(), { signal })
    window.addEventListener(
      'pageshow',
      ({ persisted }) => {
        if (!persisted) return
        // A reader who returns to a page in the back/forward cache reads it again. The service knows repeats.
        this.#recorded = ''
        this.#record()
      },
      { signal },
    )
    this.#schedule()
  }

  disconnectedCallback() {
    this.#connection.abort()
    this.#loading.abort()
    // The element may only be moved.
    this.#loading = new AbortController()
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
    const key = this.#address(false)
    const lists = [this.#list, this.#own]
    for (const list of lists) list.setAttribute('aria-label', this.#get('label') ?? 'Popular posts')
    if (this.#shown !== address && !(this.#shown === '' && this.#hasContent())) this.#showSkeleton()
    for (const list of lists) list.setAttribute('aria-busy', 'true')
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
      keep(key, found.posts)
    } catch {
      if (loading === this.#loading) found = kept(key, this.#excluded())
      state = found === undefined ? 'failed' : 'kept'
    } finally {
      clearTimeout(late)
    }
    // A later request has started, or the element was removed.
    if (loading !== this.#loading || !this.isConnected) return
    for (const list of lists) list.setAttribute('aria-busy', 'false')
    this.#show(found?.posts ?? [], state)
    this.#shown = address
    const detail = { state, posts: found?.posts ?? [], ageSeconds: found?.ageSeconds }
    this.dispatchEvent(new CustomEvent('popular-posts', { bubbles: true, composed: true, detail }))
  }

  /**
   * The value of an attribute; `undefined`: it is not set, or empty.
   * @param {string} name
   */
  #get(name) {
    return this.getAttribute(name)?.trim() || undefined
  }

  /** Whether counts are shown. Some frameworks set `false` as a text. */
  #isCounted() {
    return this.hasAttribute('views') && this.getAttribute('views') !== 'false'
  }

  #excluded() {
    return (this.#get('exclude') ?? '').split(/\s+/).filter(Boolean)
  }

  /** @param {boolean} isExcluding whether the address has the slugs of `exclude`, which differ from page to page */
  #address(isExcluding = true) {
    const address = this.#source()
    for (const name of PARAMETERS) {
      const value = this.#get(name)
      if (value !== undefined) address.searchParams.set(name, value)
    }
    for (const slug of isExcluding ? this.#excluded() : []) address.searchParams.append('exclude', slug)
    return address.href
  }

  #source() {
    return urlOf(this.#get('src') ?? '/posts/popular')
  }

  /** Whether the page has content in the element, apart from a template. */
  #hasContent() {
    return [...this.childNodes].some(
      (node) =>
        node !== this.#own &&
        (node instanceof Element ? !(node instanceof HTMLTemplateElement) : node instanceof Text && !!node.data.trim()),
    )
  }

  /** Reserves space for the longest possible list, so that its arrival moves no content. */
  #showSkeleton() {
    const rows = Math.min(Math.max(Math.trunc(Number(this.#get('limit'))) || DEFAULT_LIMIT, 1), 50)
    const shown = this.#parts()
    const small = Number(this.#isCounted() || shown.has('author')) + (shown.has('excerpt') ? 2 : 0)
    this.#box.style.setProperty('--small', String(small))
    this.#box.style.setProperty('--least', shown.has('image') ? 'var(--image)' : '0em')
    this.#status.textContent = ''
    this.#content.hidden = true
    this.#own.remove()
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

  /** The parts of a post that `show` names. */
  #parts() {
    return new Set((this.#get('show') ?? '').split(/\s+/))
  }

  #template() {
    return [...this.children].find((child) => child instanceof HTMLTemplateElement)
  }

  /**
   * @param {Post[]} posts
   * @param {State} state
   */
  #show(posts, state) {
    const template = this.#template()
    const list = template === undefined ? this.#list : this.#own
    const before = new Map(
      [...list.children].map((row, index) => [slugs.get(row), { index, top: row.getBoundingClientRect().top }]),
    )
    const root = /** @type {Document | ShadowRoot} */ (list.getRootNode())
    const focused = slugs.get([...list.children].find((row) => row.contains(root.activeElement)) ?? list)
    const isCounted = this.#isCounted()
    // Posts without views are not shown.
    const rows = posts
      .filter(({ views }) => !(isCounted && views === 0))
      .map((post, index) => this.#row(post, index + 1, template))
    if (template === undefined) this.#own.remove()
    else {
      this.#list.replaceChildren()
      if (rows.length > 0) this.append(this.#own)
    }
    list.replaceChildren(...rows)
    for (const [index, row] of rows.entries()) {
      const was = before.get(slugs.get(row))
      if (was === undefined || was.index === index) continue
      row.part.add(was.index > index ? 'up' : 'down')
      move(row, was.top - row.getBoundingClientRect().top)
    }
    if (focused !== undefined)
      rows
        .find((row) => slugs.get(row) === focused)
        ?.querySelector('a')
        ?.focus()
    // A list that the page's server has written is as good as one from an earlier visit.
    const isWritten = state === 'failed' && this.querySelector(':scope > a, :scope > :not(template) a') !== null
    this.#content.hidden = !isWritten
    this.#status.textContent =
      state !== 'fresh'
        ? this.#text(isWritten ? 'text-kept' : `text-${state}`)
        : rows.length > 0
          ? ''
          : this.#text('text-empty')
  }

  /**
   * @param {Post} post
   * @param {number} rank
   * @param {HTMLTemplateElement | undefined} template
   * @returns {HTMLElement}
   */
  #row(post, rank, template) {
    const { slug, url } = post
    const title = String(post.title ?? '').trim() || this.#text('text-untitled')
    const href = this.#linkTo(slug, url)
    const row =
      template === undefined
        ? this.#ownRow({ ...post, title }, href)
        : filled(template, { ...post, title, rank, url: href }, new Intl.NumberFormat(languageOf(this)), this.#base())
    slugs.set(row, slug)
    return row
  }

  /**
   * @param {Post & { title: string }} post
   * @param {string | undefined} href
   */
  #ownRow({ title, views, excerpt, author, image }, href) {
    const row = element('li', 'item')
    const body = element('span', 'body')
    const name = href === undefined ? element('b', 'title') : element('a', 'title link')
    if (name instanceof HTMLAnchorElement && href !== undefined) name.href = href
    body.append(withText(name, title))
    const shown = this.#parts()
    if (shown.has('excerpt') && excerpt) body.append(withText(element('small', 'excerpt'), excerpt))
    const meta = element('small', 'meta')
    if (shown.has('author') && author?.name) meta.append(withText(element('span', 'author'), author.name))
    if (this.#isCounted() && Number.isFinite(views)) {
      const count = element('span', 'views')
      count.textContent = this.#viewsText(views)
      meta.append(meta.hasChildNodes() ? ' · ' : '', count)
    }
    if (meta.hasChildNodes()) body.append(meta)
    row.append(body)
    const source = shown.has('image') ? linkTo(image?.url, this.#base()) : undefined
    if (source !== undefined) {
      const picture = element('img', 'image')
      picture.loading = 'lazy'
      picture.alt = image?.alt ?? ''
      picture.addEventListener('error', () => picture.remove())
      picture.src = source
      row.append(picture)
    }
    return row
  }

  /**
   * Without a text for the plural form of the number, `text-views` is used for every number.
   * @param {number} views
   */
  #viewsText(views) {
    const language = languageOf(this)
    const form = new Intl.PluralRules(language).select(views)
    const text =
      this.#get(`text-views-${form}`) ??
      (form === 'one' ? this.#get('text-view') : undefined) ??
      this.#get('text-views') ??
      TEXTS[views === 1 ? 'text-view' : 'text-views']
    const number = new Intl.NumberFormat(language).format(views)
    return text.includes('{views}') ? text.replace('{views}', number) : `${number} ${text}`
  }

  /** What relative addresses of the blog are relative to: `link`, on pages of another site. */
  #base() {
    return urlOf(this.#get('link') ?? '').href
  }

  /**
   * The address of a post: its URL, or, if that is a path (of a site that may not be this one), by the `link` template.
   * @param {string} slug
   * @param {unknown} url
   */
  #linkTo(slug, url) {
    const link = this.#get('link')
    const isWhole = link === undefined || /^https?:\/\//i.test(String(url))
    return linkTo(isWhole ? url : link.replace('{slug}', encodeURIComponent(slug)))
  }

  /** @param {keyof typeof TEXTS} name */
  #text(name) {
    return this.#get(name) ?? TEXTS[name]
  }

  /**
   * Records a view of this page once it is visible: not while it is prerendered or in the background.
   */
  #record() {
    const slug = this.#get('record')
    const isPrerendering = 'prerendering' in document && document.prerendering === true
    if (slug === undefined || slug === this.#recorded || isPrerendering || document.visibilityState !== 'visible')
      return
    this.#recorded = slug
    const list = this.#get('record-src')
    try {
      // A beacon is sent although the reader leaves the page; its reply is not needed.
      navigator.sendBeacon?.(new URL(`${encodeURIComponent(slug)}/views`, list ? urlOf(list) : this.#source()))
    } catch {
      // The address is none: the list says that it cannot be loaded.
    }
  }
}

/** The slugs of rows, which have no ids: a list of a template is in the page. @type {WeakMap<Element, string>} */
const slugs = new WeakMap()

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
 * Sets the text of a part; its own direction may differ from that of the page.
 * @template {HTMLElement} Part
 * @param {Part} part
 * @param {string} text
 */
function withText(part, text) {
  part.dir = 'auto'
  part.textContent = text
  return part
}

/**
 * A row as a template has it, with the fields of a post in its texts and in some of its attributes.
 * @param {HTMLTemplateElement} template
 * @param {object} post
 * @param {Intl.NumberFormat} format
 * @param {string} base the base of relative addresses
 * @returns {HTMLElement}
 */
function filled(template, post, format, base) {
  /** @param {string} path */
  const fieldOf = (path) => {
    /** @type {unknown} */
    let value = post
    for (const name of path.split('.')) value = Object(value)[name]
    return typeof value === 'string' || typeof value === 'number' ? value : ''
  }
  const row = document.createElement('li')
  // React puts the children of a template beside its content.
  for (const part of [template.content, ...template.childNodes]) row.append(document.importNode(part, true))
  for (const part of [row, ...row.querySelectorAll('*')]) {
    for (const { name, value } of [...part.attributes]) {
      if (TEXT_ATTRIBUTES.test(name))
        part.setAttribute(
          name,
          value.replace(FIELD, (_all, path) => String(fieldOf(path))),
        )
      else if (['href', 'src'].includes(name) && value.includes('{')) {
        const isWhole = /^\{[\w.]+\}$/.test(value)
        const fill = (/** @type {string} */ _all, /** @type {string} */ path) =>
          isWhole ? String(fieldOf(path)) : encodeURIComponent(fieldOf(path))
        const address = linkTo(value.replace(FIELD, fill) || undefined, base)
        if (address !== undefined) part.setAttribute(name, address)
        else if (name === 'src') part.remove()
        else part.removeAttribute(name)
      }
    }
    if (part.matches('script, style')) continue
    for (const node of part.childNodes)
      if (node instanceof Text)
        node.data = node.data.replace(FIELD, (_all, path) => {
          const value = fieldOf(path)
          return typeof value === 'number' ? format.format(value) : value
        })
  }
  const [only] = row.children
  if (row.childElementCount === 1 && only instanceof HTMLLIElement) return only
  return row
}

/**
 * The language of the page where an element is; `undefined`: the browser's, because the page has none that is valid.
 * @param {Element} element
 */
function languageOf(element) {
  for (let at = element; at; at = /** @type {ShadowRoot} */ (at.getRootNode()).host) {
    const named = at.closest('[lang]')
    if (named === null) continue
    try {
      return Intl.getCanonicalLocales(String(named.getAttribute('lang')).replaceAll('_', '-'))[0]
    } catch {
      return undefined
    }
  }
  return undefined
}

/**
 * An address of the page. A malformed one gives an address that no request can be sent to.
 * @param {string} address
 */
function urlOf(address) {
  try {
    return new URL(address, document.baseURI)
  } catch {
    return new URL('about:invalid')
  }
}

/**
 * The address to link to; `undefined` for `javascript:` and other schemes than http and https.
 * @param {unknown} url
 * @param {string} base
 */
function linkTo(url, base = document.baseURI) {
  if (url === undefined || url === null) return undefined
  try {
    const { protocol, href } = new URL(String(url), base)
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
  return value.filter((post) => (post?.slug ?? post?.title) !== undefined)
}

/**
 * The lists in storage, the latest first. Storage may be forbidden, and have something else under this key.
 * @returns {[key: string, posts: unknown][]}
 */
function keptLists() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? '[]').filter((/** @type {unknown} */ list) => Array.isArray(list))
  } catch {
    return []
  }
}

/**
 * Stores a list. It does not tell which posts a reader has read: its key has no `exclude`.
 * @param {string} key
 * @param {Post[]} posts
 */
function keep(key, posts) {
  const others = keptLists().filter(([other]) => other !== key)
  const lists = [[key, posts], ...others].slice(0, KEPT_LISTS)
  while (JSON.stringify(lists).length > KEPT_LENGTH) lists.pop()
  const text = JSON.stringify(lists)
  try {
    // Other tabs get an event for each write.
    if (localStorage.getItem(KEPT) !== text) localStorage.setItem(KEPT, text)
  } catch {
    drop()
  }
}

/** Gives the room back, because the storage of the site is full. */
function drop() {
  try {
    localStorage.removeItem(KEPT)
  } catch {
    // Storage is forbidden. No list is shown while the service does not answer.
  }
}

/**
 * @param {string} key
 * @param {string[]} excluded
 */
function kept(key, excluded) {
  const list = keptLists().find(([other]) => other === key)
  try {
    return { posts: postsOf(list?.[1]).filter(({ slug }) => !excluded.includes(slug)) }
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
if (globalThis.customElements?.get('popular-posts') === undefined)
  globalThis.customElements?.define('popular-posts', PopularPosts)
