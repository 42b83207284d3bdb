import { readFileSync } from 'node:fs'
import type { BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { until } from '../helpers/services/until.ts'
import { layoutShift, openBrowser, openPage, stumblingBlocks } from './browser.ts'

const browser = await openBrowser(t)
const element = readFileSync(new URL('../../public/popular-posts.js', import.meta.url), 'utf8')
const HOST = 'http://blog.test'

interface HostPage extends BrowserContextOptions {
  body: string
  /** The posts of every list; `undefined`: the service does not reply. */
  posts?: object[] | undefined
  lang?: string
  css?: string
  before?: string
}

/** Opens a page of a host with the element, whose service always has these posts. */
async function hostPage(t: Test, host: HostPage) {
  const { body, posts, lang = 'en', css = '', before = '', ...options } = host
  const opened = await openPage(t, browser, options)
  const { page } = opened
  const asked: string[] = []
  const held: (() => void)[] = []
  const go = () => {
    service.isSlow = false
    for (const release of held.splice(0)) release()
  }
  const service = { posts, isSlow: false, go }
  await page.addInitScript({ content: before })
  await page.route('**/*', async (route) => {
    const { pathname } = new URL(route.request().url())
    if (pathname === '/popular-posts.js') return route.fulfill({ contentType: 'text/javascript', body: element })
    if (pathname.endsWith('/posts/popular')) {
      asked.push(route.request().url())
      if (service.isSlow) await new Promise<void>((resolve) => held.push(resolve))
      const headers = { 'access-control-allow-origin': '*' }
      return service.posts === undefined ? route.abort() : route.fulfill({ json: service.posts, headers })
    }
    if (pathname.endsWith('.png')) return route.fulfill({ contentType: 'image/png', body: PNG })
    if (!pathname.startsWith('/host')) return route.fulfill({ status: 204 })
    return route.fulfill({
      contentType: 'text/html; charset=utf-8',
      body: `<!doctype html><html lang="${lang}"><title>Host</title><link rel="icon" href="data:,"><style>${css}</style>
        <script type="module" src="/popular-posts.js"></script><main><h1>Host</h1>${body}</main>`,
    })
  })
  await page.goto(`${HOST}/host`)
  return { ...opened, asked, service, rows: () => rowsOf(page) }
}

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)
const rowsOf = (page: Page) => page.locator('popular-posts').getByRole('listitem').allInnerTexts()
const shown = (page: Page, text: string) => page.getByText(text, { exact: true }).first().waitFor()
const post = (slug: string, more: object = {}) => ({ slug, title: slug, url: `/${slug}`, views: 9, ...more })
const set = (page: Page, attributes: Record<string, string>) =>
  page.locator('popular-posts').evaluate((element, all) => {
    for (const [name, value] of Object.entries(all)) element.setAttribute(name, value)
  }, attributes)

t.test('an empty attribute counts as not set', async (t) => {
  const names = 'src days limit sort category tag author exclude record record-src label link show'.split(' ')
  const texts = ['text-view', 'text-views', 'text-views-one', 'text-empty', 'text-kept', 'text-failed', 'text-untitled']
  const attributes = [...names, ...texts].map((name) => `${name}=" "`).join(' ')
  const { page, asked, beacons, rows, service, complaints } = await hostPage(t, {
    body: `<popular-posts ${attributes} views=""></popular-posts>`,
    posts: [post('a', { views: 2 }), post('b', { title: '', views: 1 })],
  })
  await shown(page, 'a')
  t.same(asked, [`${HOST}/posts/popular`])
  t.same(await rows(), ['a\n2 views', 'Untitled\n1 view'])
  t.equal(await page.getByRole('list', { name: 'Popular posts' }).count(), 1)
  t.equal(await page.getByRole('link', { name: 'a', exact: true }).getAttribute('href'), `${HOST}/a`)
  t.same(beacons, [])
  await set(page, { views: 'false', limit: '2' })
  await until(
    async () => (await rows()).join() === 'a,Untitled',
    'the text "false" shows no views, as without the attribute',
  )
  service.posts = []
  await set(page, { limit: '3' })
  await shown(page, 'Nothing here yet.')
  service.posts = undefined
  await set(page, { limit: '4' })
  await page.getByText('The popular posts cannot be loaded right now.').waitFor()
  t.match(complaints, [/ERR_FAILED/], 'the browser’s own line')
})

t.test('numbers and plurals are in the language of the page', async (t) => {
  const polish =
    'text-view="wyświetlenie" text-views="wyświetlenia" text-views-few="wyświetlenia" text-views-many="wyświetleń"'
  const russian = 'text-views-one="просмотр" text-views-few="просмотра" text-views-many="просмотров"'
  const cases: [lang: string, attributes: string, views: Record<number, string>][] = [
    ['en', '', { 1: '1 view', 2: '2 views', 1234567: '1,234,567 views' }],
    ['en-IN', '', { 1234567: '12,34,567 views' }],
    ['de', 'text-view="Aufruf" text-views="Aufrufe"', { 1: '1 Aufruf', 1234: '1.234 Aufrufe' }],
    ['de', 'text-views="Leser"', { 1: '1 Leser', 2: '2 Leser' }],
    ['fr', 'text-view="vue" text-views="vues"', { 1: '1 vue', 2: '2 vues', 1000000: '1\u202f000\u202f000 vues' }],
    ['pl', polish, { 1: '1 wyświetlenie', 3: '3 wyświetlenia', 5: '5 wyświetleń', 22: '22 wyświetlenia' }],
    ['ru', russian, { 1: '1 просмотр', 21: '21 просмотр', 11: '11 просмотров', 24: '24 просмотра' }],
    ['ja', 'text-views="{views}回"', { 1: '1回', 1234: '1,234回' }],
    ['ja', '', { 1: '1 view', 2: '2 views' }],
    ['ar-EG', 'text-views="مشاهدة" text-views-two="مشاهدتان"', { 2: '٢ مشاهدتان', 100: '١٠٠ مشاهدة' }],
    // Common mistakes: what the browser's language gives.
    ['en_US', '', { 1: '1 view', 1234: '1,234 views' }],
    ['english please', '', { 1: '1 view', 1234: '1,234 views' }],
    ['', '', { 1: '1 view', 1234: '1,234 views' }],
  ]
  const { page, service } = await hostPage(t, { body: '<div id="at"></div>', locale: 'en-US' })
  for (const [lang, attributes, views] of cases) {
    service.posts = Object.keys(views).map((count) => post(count, { views: Number(count) }))
    await page.evaluate(
      ([lang, html]) => {
        const at = document.querySelector('#at') as HTMLElement
        at.setAttribute('lang', String(lang))
        at.innerHTML = String(html)
      },
      [lang, `<popular-posts views ${attributes}></popular-posts>`],
    )
    await page.locator('[part~=views]').last().waitFor()
    t.same(await page.locator('[part~=views]').allTextContents(), Object.values(views), `${lang} ${attributes}`)
  }
  service.posts = [post('a', { views: 1234 })]
  await page.evaluate(() => {
    document.documentElement.lang = 'en'
    const outer = document.querySelector('#at') as HTMLElement
    outer.lang = 'de'
    outer.innerHTML = '<div></div>'
    const root = (outer.firstElementChild as HTMLElement).attachShadow({ mode: 'open' })
    root.innerHTML = '<popular-posts views></popular-posts>'
  })
  await shown(page, '1.234 views')
})

t.test('each text has its own direction, and a post without a title has a name', async (t) => {
  const { page, rows, complaints } = await hostPage(t, {
    body: '<popular-posts show="excerpt author" text-untitled="Ohne Titel"></popular-posts>',
    posts: [
      post('he', { title: 'שלום (2026)!', author: { name: 'נועה', slug: 'n' }, excerpt: 'English text.' }),
      post('none', { title: null, author: null, excerpt: '' }),
      post('spaces', { title: ' \n ' }),
      { slug: 'missing', url: '/m', views: 1 },
      { slug: 'number', title: 1984, url: '/n', views: 1 },
      null,
      'text',
      {},
    ] as object[],
  })
  await shown(page, '1984')
  t.same(
    (await rows()).map((row) => row.split('\n')[0]),
    ['שלום (2026)!', 'Ohne Titel', 'Ohne Titel', 'Ohne Titel', '1984'],
  )
  const directions = await page
    .locator('[part~=title], [part=author], [part=excerpt]')
    .evaluateAll((all) => all.slice(0, 3).map((part) => [(part as HTMLElement).dir, getComputedStyle(part).direction]))
  t.same(directions, [
    ['auto', 'rtl'],
    ['auto', 'ltr'],
    ['auto', 'rtl'],
  ])
  t.same(await stumblingBlocks(page), [])
  t.same(complaints, [])
})

t.test('views go to `record-src`, when the list comes from elsewhere', async (t) => {
  const { page, beacons, asked } = await hostPage(t, {
    body: `<popular-posts src="https://cdn.test/v1/posts/popular" record="a b"
      record-src="https://views.test/api/posts/popular"></popular-posts>`,
    posts: [post('a')],
  })
  const sent: string[] = []
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()))
  await shown(page, 'a')
  t.same(asked, ['https://cdn.test/v1/posts/popular'])
  await until(() => beacons.length === 1, 'the view is sent')
  t.same(beacons, ['/api/posts/a%20b/views'])
  await set(page, { record: 'c' })
  await until(() => sent.length === 1, 'another view is sent')
  t.same(sent, ['https://views.test/api/posts/c/views'])
  await set(page, { record: 'd', 'record-src': '/own/posts/popular' })
  await until(() => sent.length === 2, 'to a path of this site')
  t.equal(sent[1], `${HOST}/own/posts/d/views`)
  await set(page, { record: 'e', 'record-src': '' })
  await until(() => sent.length === 3, 'to the service of the list')
  t.equal(sent[2], 'https://cdn.test/v1/posts/e/views')
})

t.test('a malformed address is a list that cannot be loaded, not an error of the page', async (t) => {
  const { page, complaints, beacons } = await hostPage(t, {
    body: '<popular-posts src="http://[" record="a" link="http://["></popular-posts>',
  })
  await page.getByText('cannot be loaded').waitFor()
  t.same(beacons, [])
  t.same(
    complaints.filter((text) => !text.includes('about:invalid')),
    [],
  )
})

t.test('storage: a bounded number of lists under one key, which says nothing about what was read', async (t) => {
  const { page, service } = await hostPage(t, {
    body: '<popular-posts></popular-posts>',
    posts: [post('a'), post('b')],
  })
  const stored = () => page.evaluate(() => Object.entries({ ...localStorage }))
  await page.evaluate(() => localStorage.setItem('mine', 'x'))
  const shows = async (attributes: Record<string, string>, first: string) => {
    service.posts = [post(first), post('b'), post('c')]
    await set(page, attributes)
    await shown(page, first)
  }
  for (let read = 0; read < 30; read += 1) await shows({ exclude: `read-${read}` }, `first-${read}`)
  for (let days = 1; days < 30; days += 1) await shows({ days: String(days) }, `days-${days}`)
  const entries = await stored()
  t.same(entries.map(([key]) => key).sort(), ['mine', 'popular-posts'])
  const [, text = ''] = entries.find(([key]) => key === 'popular-posts') ?? []
  t.notMatch(text, /read-/)
  t.equal(JSON.parse(text).length, 5)

  service.posts = undefined
  await set(page, { exclude: 'b days-29' })
  await page.getByRole('status').getByText('this is the list as it last was').waitFor()
  t.same(await rowsOf(page), ['c'], 'the list of another page, without what this page excludes')
})

t.test('storage: long lists are not stored, and a full storage is left to the page', async (t) => {
  const long = [post('long', { excerpt: 'x'.repeat(98_000) }), post('b')]
  const { page, service, complaints } = await hostPage(t, {
    body: '<popular-posts></popular-posts>',
    posts: [post('a', { excerpt: 'x'.repeat(5_000) })],
  })
  const ours = () => page.evaluate(() => localStorage.getItem('popular-posts'))
  const next = async (days: number, posts: object[], title: string) => {
    service.posts = posts
    await set(page, { days: String(days) })
    await shown(page, title)
  }
  await shown(page, 'a')
  await next(1, long, 'long')
  t.equal(JSON.parse(String(await ours())).length, 1, 'the older list is dropped')
  await next(2, [post('huge', { excerpt: 'x'.repeat(101_000) })], 'huge')
  t.ok(String(await ours()).length < 100_000)

  // A page that fills the storage of the site.
  await page.evaluate(() => {
    localStorage.clear()
    for (let size = 2 ** 20; size >= 1; size /= 2) {
      try {
        for (let index = 0; ; index += 1) localStorage.setItem(`mine-${size}-${index}`, 'm'.repeat(size))
      } catch {}
    }
  })
  const mine = () => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('mine')).length)
  const before = await mine()
  await next(3, [post('full')], 'full')
  t.equal(await ours(), null)
  t.equal(await mine(), before)
  await page.evaluate(() => {
    localStorage.clear()
    localStorage.setItem('popular-posts', '[["a",[]]]')
    for (let size = 2 ** 20; size >= 1; size /= 2) {
      try {
        for (let index = 0; ; index += 1) localStorage.setItem(`mine-${size}-${index}`, 'm'.repeat(size))
      } catch {}
    }
  })
  await next(4, [post('full again')], 'full again')
  t.equal(await ours(), null, 'the room is given back')

  for (const nonsense of [
    '',
    'x',
    '{}',
    '5',
    'null',
    '[1,{"a":1},[],[2,3],null]',
    '[["http://blog.test/posts/popular?days=9",5]]',
  ]) {
    await page.evaluate((text) => {
      localStorage.clear()
      localStorage.setItem('popular-posts', text)
    }, nonsense)
    service.posts = undefined
    await set(page, { days: '9' })
    await page.getByText('cannot be loaded').waitFor()
    await next(10, [post(`after ${nonsense}`)], `after ${nonsense}`)
    t.match(JSON.parse(String(await ours()))[0], ['http://blog.test/posts/popular?days=10', [{}]], nonsense)
  }
  t.same(
    complaints.filter((text) => !text.includes('ERR_FAILED')),
    [],
  )
})

t.test('a picture, an excerpt and the author are shown on request, and nothing moves', async (t) => {
  const posts = [
    post('one', {
      excerpt: 'What it is about. '.repeat(9),
      author: { name: 'Maren Holt', slug: 'maren' },
      image: { url: '/one.png', width: 100, height: 50, alt: 'A goat' },
    }),
    post('two', {
      excerpt: 'Short.',
      author: { name: '<b>Ann</b>', slug: 'ann' },
      image: { url: 'javascript:hacked=1', alt: '' },
    }),
    post('three', { image: { url: '/missing', width: null, height: null, alt: 'Gone' } }),
  ]
  const { page, service, rows, complaints } = await hostPage(t, { body: '<p>Above</p>', posts })
  service.isSlow = true
  await page.locator('main').evaluate((main) => {
    main.insertAdjacentHTML(
      'beforeend',
      '<popular-posts show="image excerpt author" views limit="3"></popular-posts><p>Below</p>',
    )
  })
  await page.locator('[part~=skeleton]').nth(2).waitFor()
  const loading = await page.locator('[part~=skeleton]').first().boundingBox()
  service.go()
  await shown(page, 'one')
  await page.getByRole('img', { name: 'A goat' }).waitFor()
  await until(async () => (await page.locator('popular-posts img').count()) === 1, 'broken pictures are removed')
  const loaded = await page.locator('[part~=item]').first().boundingBox()
  t.ok(Number(loaded?.height) <= Number(loading?.height), `${loaded?.height} px in ${loading?.height} px`)
  const [one, ...others] = await rows()
  t.match(one, /^one\nWhat it is about\.[\s\S]*\nMaren Holt · 9 views$/)
  t.same(others, ['two\nShort.\n<b>Ann</b> · 9 views', 'three\n9 views'])
  t.same(await stumblingBlocks(page), [])
  await set(page, { show: '' })
  await until(async () => (await rows()).join() === 'one\n9 views,two\n9 views,three\n9 views', 'without `show`')
  t.equal(await page.evaluate(() => 'hacked' in window), false)
  t.same(complaints, [])
})

t.test('a template makes the list in the page, whose styles apply', async (t) => {
  const { page, service, complaints } = await hostPage(t, {
    lang: 'de',
    css: '.card { letter-spacing: 3px }',
    body: `<popular-posts label="Mine" views link="https://blog.example/p/{slug}/"><template>
      <li class="card" data-slug="{slug}" onclick="hacked('{title}')" style="color: red">
        <a href="{url}">{rank}. {title}</a> <a class="more" href="/more/{slug}?x={title}">{author.name}</a>
        <a class="js" href="javascript:hacked('{title}')">js</a>
        <img src="{image.url}" alt="{image.alt}"> <em>{views} {nothing} {author.nothing.more} {constructor}</em>
        <script>window.ran = '{title}'</script>
      </li></template></popular-posts>`,
    posts: [
      post('a/b', { title: 'A & <b>', views: 1234, author: { name: 'Ann' }, image: { url: '/a.png', alt: 'Alt' } }),
      post('b', { title: '', views: 1, author: null, image: null }),
      post('c', { views: 0 }),
    ],
  })
  const list = page.getByRole('list', { name: 'Mine' })
  await list.getByRole('listitem').nth(1).waitFor()
  const [one, two] = await list.getByRole('listitem').evaluateAll((rows) =>
    rows.map((row) => ({
      text: row.querySelector('a')?.textContent,
      href: row.querySelector('a')?.getAttribute('href'),
      more: row.querySelector('.more')?.getAttribute('href'),
      author: row.querySelector('.more')?.textContent,
      js: row.querySelector('.js')?.getAttribute('href'),
      image: row.querySelector('img')?.outerHTML,
      views: row.querySelector('em')?.textContent?.trim(),
      slug: (row as HTMLElement).dataset['slug'],
      click: row.getAttribute('onclick'),
      spacing: getComputedStyle(row).letterSpacing,
      isInPage: row.getRootNode() === document,
    })),
  )
  t.match(one, {
    text: '1. A & <b>',
    href: 'https://blog.example/p/a%2Fb/',
    more: 'https://blog.example/more/a%2Fb?x=A%20%26%20%3Cb%3E',
    author: 'Ann',
    js: null,
    image: '<img src="https://blog.example/a.png" alt="Alt">',
    views: '1.234',
    slug: 'a/b',
    click: "hacked('{title}')",
    spacing: '3px',
    isInPage: true,
  })
  t.match(two, { text: '2. Untitled', author: '', image: undefined, views: '1' })
  t.equal(await page.evaluate('window.ran'), '{title}', 'fields of scripts are left alone')
  t.equal(await page.getByRole('listitem').count(), 2, 'the element shows no other list')

  await list.getByRole('link').first().focus()
  service.posts = [post('new', { title: 'New' }), post('a/b', { title: 'A', views: 3 })]
  await page
    .locator('popular-posts')
    .evaluate((element) => (element as HTMLElement & { refresh(): Promise<void> }).refresh())
  t.equal(await page.evaluate(() => document.activeElement?.textContent), '2. A', 'the focus stays')
  service.posts = []
  await set(page, { days: '2' })
  await shown(page, 'Nothing here yet.')
  t.equal(await page.getByRole('list').count(), 0)
  service.posts = [post('back')]
  await page.locator('popular-posts').evaluate((element) => {
    element.replaceChildren(
      document.createRange().createContextualFragment('<template><b>{title}</b> and {slug}</template>'),
    )
    element.setAttribute('days', '3')
  })
  await page.getByText('back and back').waitFor()
  t.equal(await page.getByRole('listitem').count(), 1, 'an item is made around what is none')
  await page.locator('popular-posts').evaluate((element) => {
    element.querySelector('template')?.remove()
    element.setAttribute('days', '4')
  })
  await page.locator('[part~=title]').waitFor()
  t.equal(await page.getByRole('listitem').count(), 1)
  t.same(complaints, [])
})

t.test('a template may have its children beside its content, as React makes it', async (t) => {
  const { page } = await hostPage(t, { body: '<p></p>', posts: [post('a')] })
  await page.locator('main').evaluate((main) => {
    const [list, template, text] = ['popular-posts', 'template', 'i'].map((name) => document.createElement(name))
    text?.append('{title}!')
    template?.append(text ?? '')
    list?.append(template ?? '')
    main.append(list ?? '')
  })
  await shown(page, 'a!')
})

const isSeen = async (page: Page) => (await page.locator('popular-posts').innerText()).includes('Written')

t.test('what the page has in the element stays until the list is there, whenever it comes', async (t) => {
  for (const [name, content, isKept] of [
    ['a list', '<ul><li><a href="/w">Written</a></li></ul>', true],
    ['other markup', '<div><h3>Written</h3><a href="/w">more</a></div>', true],
    ['a text', 'Written', false],
    ['a text beside a template', 'Written<template><b>{title}</b></template>', false],
  ] as const) {
    const { page, service } = await hostPage(t, {
      body: `<popular-posts></popular-posts><p id="below">Below</p>`,
      posts: [post('a')],
    })
    await shown(page, 'a')
    service.isSlow = true
    await page.evaluate((html) => {
      const list = document.querySelector('popular-posts') as HTMLElement
      const fresh = document.createElement('popular-posts')
      fresh.setAttribute('days', '2')
      list.replaceWith(fresh)
      setTimeout(() => {
        fresh.innerHTML = html
      }, 20)
    }, content)
    await page.getByText('Written').waitFor()
    t.equal(await page.locator('[part~=skeleton]').count(), 0, name)
    service.go()
    await shown(page, 'a')
    t.equal(await isSeen(page), false, name)

    service.posts = undefined
    await page.evaluate((html) => {
      localStorage.clear()
      const list = document.querySelector('popular-posts') as HTMLElement
      const fresh = document.createElement('popular-posts')
      fresh.innerHTML = html
      list.replaceWith(fresh)
    }, content)
    await page.getByText(isKept ? 'this is the list as it last was' : 'cannot be loaded right now').waitFor()
    t.equal(await isSeen(page), isKept, `${name}, no list`)
  }
})

t.test('server-rendered content that looks like the list is replaced without a shift', async (t) => {
  const row = (title: string) => `<li><a href="/${title}">${title}</a></li>`
  const { page, service } = await hostPage(t, {
    css: `popular-posts ol { margin: 0; padding: 0; list-style: none; line-height: 1.4 }
      popular-posts li { padding-block: .6em; border-top: 1px solid }`,
    body: `<popular-posts limit="2"><ol>${row('a')}${row('b')}</ol></popular-posts><p>Below</p>`,
    posts: [post('a'), post('b')],
  })
  await page.locator('[part~=title]').nth(1).waitFor()
  t.equal(await layoutShift(page), 0)
  service.isSlow = true
  await page.locator('popular-posts').evaluate((element) => element.parentElement?.prepend(element))
  t.same(await rowsOf(page), ['a', 'b'], 'an element that is moved keeps its list')
})
