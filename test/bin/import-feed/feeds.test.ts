import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { collectPosts } from '../../../bin/import-feed/collect-posts.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'
import type { FeedPost } from '../../../db/feed-posts.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/feeds/${name}`, import.meta.url))

interface Choices {
  post?: string
  baseUrl?: string
}

function read(source: string, { post, baseUrl }: Choices = {}) {
  return collectPosts({ source, baseUrl, post: post === undefined ? undefined : compilePostPattern(post) })
}

/** Reads a document of this text. */
async function readText(t: Test, text: string | Buffer, choices?: Choices) {
  const file = join(await temporaryDirectory(t), 'feed')
  await writeFile(file, text)
  return read(file, choices)
}

/** An RSS feed with these items. */
const rss = (items: string, head = '<link>https://blog.example/</link>') =>
  `<?xml version="1.0"?><rss version="2.0"><channel>${head}${items}</channel></rss>`

/** The first post of an RSS feed with this item. */
async function itemOf(t: Test, item: string): Promise<FeedPost | undefined> {
  const link = item.includes('<link') || item.includes('<guid') ? '' : '<link>https://blog.example/a/</link>'
  return (await readText(t, rss(`<item>${link}${item}</item>`))).posts[0]
}

/** What a feed says of a post: without what it does not say. */
function said(post: FeedPost | undefined) {
  const { publishedAt, changedAt, image, ...texts } = post ?? {}
  const date = publishedAt?.toISOString() ?? (changedAt && `changed ${changedAt.toISOString()}`)
  const picture =
    image && [image.url, image.width, image.height, image.alt].filter((part) => part !== undefined && part !== '')
  return Object.fromEntries(
    Object.entries({ ...texts, date, picture }).filter(
      ([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0),
    ),
  )
}

t.test('feeds of the generators of static sites, and of blogs', async (t) => {
  const expected: Record<string, object[]> = {
    'hugo.xml': [
      {
        slug: 'using-b',
        url: 'https://notes.example/posts/using-b/',
        title: 'Using <b> & friends',
        excerpt: 'The tag <b> is not gone.',
        author: 'Jane Doe',
        language: 'en-GB',
        date: '2025-06-03T07:39:21.000Z',
      },
      {
        slug: 'über-uns',
        url: 'https://notes.example/posts/%C3%BCber-uns/',
        title: 'Über uns: 日本語',
        language: 'en-GB',
      },
    ],
    'eleventy.xml': [
      {
        slug: 'dont-panic',
        url: 'https://eleven.example/blog/dont-panic/',
        title: "Don't panic",
        language: 'de',
        excerpt: 'First. Second & third.',
        author: 'Max Muster',
        date: 'changed 2025-06-03T00:00:00.000Z',
        picture: ['https://eleven.example/blog/pictures/sea.jpg', 800, 600, 'The sea'],
      },
    ],
    'eleventy.json': [
      {
        slug: 'dont-panic',
        url: 'https://eleven.example/blog/dont-panic/',
        title: "Don't panic",
        language: 'de',
        excerpt: 'First. Second & third.',
        author: 'Ford Prefect',
        date: '2025-06-03T00:00:00.000Z',
        tags: ['Towels', 'C#', 'C++'],
        picture: ['https://eleven.example/img/towel.png'],
      },
      {
        slug: 'note-7',
        url: 'https://eleven.example/blog/note-7/',
        id: /^[\da-f]{64}$/,
        language: 'de',
        title: 'A note < without & title',
        excerpt: 'A note < without & title',
        author: 'Max Muster',
        date: 'changed 2025-06-02T00:00:00.000Z',
      },
    ],
    'astro.xml': [
      {
        slug: 'markdown-style-guide',
        url: 'https://astro.example/blog/markdown-style-guide/',
        title: 'Markdown Style Guide',
        excerpt: 'Here is a sample of some basic Markdown syntax.',
        date: '2024-06-19T00:00:00.000Z',
        categories: ['guides', 'Mark & down'],
      },
    ],
    'jekyll.xml': [
      {
        slug: 'bold-moves',
        url: 'https://jekyll.example/news/2025/05/01/bold-moves.html',
        id: /^[\da-f]{64}$/,
        title: 'Bold moves & more',
        excerpt: 'Text of it.',
        author: 'Guest',
        language: 'en',
        categories: ['news', 'Ruby on Rails'],
        date: '2025-05-01T10:00:00.000Z',
        picture: ['https://jekyll.example/img/bold-wide.jpg', 1200, 630],
      },
    ],
    'ghost.xml': [
      {
        slug: 'coming-soon',
        url: 'https://ghost.example/coming-soon/',
        id: /^[\da-f]{64}$/,
        title: 'Coming soon & later',
        excerpt: 'This is Ghostly, a brand new site.',
        author: 'Jamie Larson',
        categories: ['News', 'Getting Started'],
        date: '2025-06-03T09:39:21.000Z',
        picture: ['https://static.ghost.example/v5.0.0/images/feature-image.jpg'],
      },
    ],
    'wordpress.xml': [
      {
        slug: 'bread-butter',
        url: 'https://word.example/2025/06/03/bread-butter/',
        id: /^[\da-f]{64}$/,
        title: 'Bread & butter: it’s “good”',
        excerpt: 'Welcome to bread. […]',
        author: 'admin',
        language: 'en-US',
        categories: ['Food & Drink'],
        tags: ['baking'],
        date: '2025-06-03T09:39:21.000Z',
        picture: ['https://word.example/wp-content/uploads/bread.jpg', 1024, 683, 'A loaf & a knife'],
      },
    ],
    'substack.xml': [
      {
        slug: 'on-slow-mornings',
        url: 'https://letters.example/p/on-slow-mornings',
        title: 'On slow mornings',
        excerpt: 'A letter & a half',
        author: 'Ann Other',
        language: 'en',
        date: '2025-06-03T09:39:21.000Z',
        picture: ['https://cdn.letters.example/image/fetch/a%2Cb.png'],
      },
    ],
    'rss-1.xml': [
      {
        slug: 'ancient',
        url: 'https://old.example/archive/ancient.html',
        title: 'Ancient',
        excerpt: 'Long ago',
        author: 'René',
        categories: ['History'],
        language: 'fr',
        date: '2003-12-13T17:30:02.000Z',
      },
    ],
    'prefixed-atom.xml': [
      {
        slug: 'entry-two',
        url: 'https://pre.example/blog/2025/entry-two',
        title: 'An XHTML title',
        excerpt: 'Hello there',
        categories: ['All about XML', 'old style'],
        author: 'The Source',
        date: 'changed 2025-06-03T10:00:00.000Z',
        id: /^[\da-f]{64}$/,
        picture: ['https://pre.example/blog/2025/two.png'],
      },
      {
        slug: 'by-id',
        url: 'https://pre.example/by-id',
        title: 'Literal &amp; text',
        excerpt: '1 < 2',
        picture: ['https://pre.example/blog/y.png', 'Y'],
      },
    ],
    'news-sitemap.xml': [
      {
        slug: 'storm',
        url: 'https://map.example/2025/storm',
        title: 'Storm & calm',
        language: 'en',
        date: '2025-06-03T00:00:00.000Z',
      },
    ],
  }
  for (const [name, posts] of Object.entries(expected)) {
    const found = await read(fixture(name))
    t.match(found.posts.map(said), posts, name)
    t.strictSame(
      found.posts.map((post) => Object.keys(said(post)).toSorted()),
      posts.map((post) => Object.keys(post).toSorted()),
      `${name}: nothing else`,
    )
    t.equal(found.others, { 'eleventy.json': 3, 'wordpress.xml': 1 }[name] ?? 0, name)
  }
})

t.test('titles are text, whatever markup and entities they come in', async (t) => {
  const titles = {
    'A &amp; B': 'A & B',
    'A &amp;amp; B': 'A & B',
    '<![CDATA[A & B]]>': 'A & B',
    '<![CDATA[A &amp; B &#8217; &hellip;]]>': 'A & B ’ …',
    'A &nbsp; B': 'A B',
    '&lt;em&gt;A&lt;/em&gt; &lt;b class="x"&gt;&lt;i&gt;B&lt;/i&gt;&lt;/b&gt;': 'A B',
    'How to use &lt;b&gt;': 'How to use <b>',
    '<![CDATA[Array<string> in a < b > c]]>': 'Array<string> in a < b > c',
    'Line\n   &#9; ends &#10; and &#0;&#x1F600; control': 'Line ends and \uFFFD😀 control',
    'Fish & chips &unknown; &': 'Fish & chips &unknown; &',
  }
  for (const [xml, title] of Object.entries(titles))
    t.equal((await itemOf(t, `<title>${xml}</title>`))?.title, title, xml)
  const long = (await itemOf(t, `<title>${'word '.repeat(1000)}</title>`))?.title ?? ''
  t.ok(long.length <= 300 && long.endsWith('word…'), long)
  t.equal((await itemOf(t, `<title>${'x'.repeat(1000)}</title>`))?.title?.length, 300, 'without spaces')
  t.equal((await itemOf(t, `<title>${'😀'.repeat(200)}</title>`))?.title?.length, 299, 'no half of a character')
  t.equal((await itemOf(t, '<description>&lt;p>Only a text&lt;/p></description>'))?.title, 'Only a text')
  t.equal((await itemOf(t, ''))?.title, undefined, 'the slug makes the title')
})

t.test('an excerpt has no markup, no scripts and no more than it needs', async (t) => {
  const excerpt = async (html: string) => (await itemOf(t, `<description><![CDATA[${html}]]></description>`))?.excerpt
  t.equal(await excerpt('<style>p {}</style><p>One<br>two</p><script>three()</script><ul><li>four'), 'One two four')
  t.equal(await excerpt('<a href="x">in</a>line &lt;b&gt;'), 'inline <b>')
  t.equal((await excerpt('long '.repeat(100_000)))?.length, 295)
})

t.test('an item is found by link, or by an id that is an address', async (t) => {
  const cases = {
    '<link>https://blog.example/x/</link>': 'https://blog.example/x/',
    '<link>/x/</link>': 'https://blog.example/x/',
    '<link>\n https://blog.example/x#comments\n</link>': 'https://blog.example/x',
    '<link>https://blog.example/x?a=1&amp;utm_source=rss&amp;utm_medium=rss</link>': 'https://blog.example/x?a=1',
    '<guid>https://blog.example/x/index.html</guid>': 'https://blog.example/x/index.html',
    '<guid isPermaLink="true">https://blog.example/x.html</guid>': 'https://blog.example/x.html',
    '<link></link><guid>https://blog.example/x/</guid>': 'https://blog.example/x/',
    '<f:origLink xmlns:f="http://rssnamespace.org/feedburner/ext/1.0">https://blog.example/x</f:origLink><link>https://feeds.example/1</link>':
      'https://blog.example/x',
    '<feedburner:origLink>https://blog.example/x</feedburner:origLink><link>https://feeds.example/1</link>':
      'https://blog.example/x',
    '<atom:link href="https://blog.example/x"/><guid isPermaLink="false">7</guid>': 'https://blog.example/x',
    '<guid isPermaLink="false">https://blog.example/x/</guid>': undefined,
    '<guid>x</guid>': undefined,
    '<guid> </guid>': undefined,
    '<link>javascript:alert(1)</link>': undefined,
    '<link>mailto:x@blog.example</link>': undefined,
    '<link>https://</link>': undefined,
    '<link>https://blog.example/</link>': undefined,
    [`<link>https://blog.example/${'x'.repeat(501)}</link>`]: undefined,
    '<link>https://blog.example/%00x</link>': undefined,
  }
  for (const [item, url] of Object.entries(cases)) {
    const post = await itemOf(t, item)
    t.equal(post?.url, url, item)
    if (url !== undefined) t.equal(post?.slug, 'x', item)
  }
  const relative = rss('<item><link>x/</link></item>', '')
  t.same((await readText(t, relative)).posts, [], 'relative to nothing')
  const { posts } = await readText(t, relative, { baseUrl: 'https://blog.example/blog/' })
  t.equal(posts[0]?.url, 'https://blog.example/blog/x/', '--base-url')
  const based =
    '<rss xml:base="https://a.example/"><channel xml:base="b/"><item xml:base="c/"><link>x</link></item></channel></rss>'
  t.equal((await readText(t, based)).posts[0]?.url, 'https://a.example/b/c/x', 'xml:base')
  const wrong =
    '<rss xml:base="ftp://a.example/"><channel><item><link>https://b.example/x</link></item></channel></rss>'
  t.equal((await readText(t, wrong)).posts[0]?.url, 'https://b.example/x')
})

t.test('authors are names, never addresses', async (t) => {
  const authors = {
    '<author>jane@blog.example (Jane Doe)</author>': 'Jane Doe',
    '<author>Jane Doe &lt;jane@blog.example&gt;</author>': 'Jane Doe',
    '<author>Jane Doe (née Roe)</author>': 'Jane Doe (née Roe)',
    '<author>jane@blog.example</author>': undefined,
    '<author> </author>': undefined,
    '<dc:creator>Jane &amp;amp; Joe</dc:creator>': 'Jane & Joe',
    '<itunes:author>Jane</itunes:author>': 'Jane',
    '<atom:author><atom:name>Jane</atom:name></atom:author>': 'Jane',
  }
  for (const [item, author] of Object.entries(authors)) t.equal((await itemOf(t, item))?.author, author, item)
})

t.test('pictures: Media RSS, thumbnails, enclosures, iTunes, and the first one in the text', async (t) => {
  const media = (attributes: string) => `<media:content ${attributes}/>`
  const pictures = {
    [media('url="https://a.example/1.jpg" width="10"') +
      media('url="https://a.example/2.jpg" width="900" type="image/jpeg"')]: 'https://a.example/2.jpg',
    [`<media:group>${media('url="https://a.example/1" medium="image"')}</media:group>`]: 'https://a.example/1',
    [media('url="https://a.example/1.jpg"') + media('url="https://a.example/2.jpg"')]: 'https://a.example/1.jpg',
    [media('url="https://a.example/1.mp4" medium="video"')]: undefined,
    [`${media('url="https://a.example/1.mp4" type="video/mp4"')}<media:thumbnail url=""/>`]: undefined,
    [`${media('url="https://a.example/1.mp4"')}<media:thumbnail url="https://a.example/t.png"/>`]:
      'https://a.example/t.png',
    '<enclosure url="https://a.example/1.mp3" type="audio/mpeg"/><itunes:image href="https://a.example/c.jpg"/>':
      'https://a.example/c.jpg',
    '<enclosure url="https://a.example/1.PNG?x"/>': 'https://a.example/1.PNG?x',
    '<enclosure url="javascript:x.png" type="image/png"/>': undefined,
    '<enclosure/>': undefined,
    '<description>&lt;img src="data:image/png;base64,AA"> &lt;img src="b.png" width="100%"></description>':
      'https://blog.example/a/b.png',
  }
  for (const [item, url] of Object.entries(pictures)) t.equal((await itemOf(t, item))?.image?.url, url, item)
})

t.test('what PostgreSQL cannot store, and what is too much, does not come through', async (t) => {
  const { posts } = await readText(
    t,
    JSON.stringify({
      items: [
        {
          url: 'https://blog.example/a',
          title: 'a\u0000b\uD800c',
          content_text: '\u0000',
          tags: [1, null, '', ' ', ...Array.from({ length: 50 }, (_none, index) => `Tag ${index}`), 'x'.repeat(500)],
          language: 'no language',
          image: 'data:image/png;base64,AA',
          author: { name: 5 },
        },
      ],
    }),
  )
  t.match(posts, [{ title: 'a b\uFFFDc', excerpt: '', language: undefined, image: undefined, author: '5' }])
  t.equal(posts[0]?.tags.length, 20)
})

t.test('a sitemap needs the folder of its posts, as a log does', async (t) => {
  await t.rejects(read(fixture('sitemap.xml')), {
    message:
      'A sitemap names pages of all kinds, and does not say which are posts: add --post with the folder of the posts, such as --post /blog/.',
  })
  const { posts, others } = await read(fixture('sitemap.xml'), { post: '/blog/' })
  t.same(posts.map(said), [
    {
      slug: 'first-post',
      url: 'https://map.example/blog/first-post/',
      picture: ['https://map.example/one.jpg'],
      date: 'changed 2025-06-03T08:00:00.000Z',
    },
    {
      slug: 'second_post',
      url: 'https://map.example/blog/second_post.html',
      date: 'changed 2025-06-02T00:00:00.000Z',
    },
  ])
  t.equal(others, 5)
  await t.rejects(readText(t, '<urlset><url/></urlset>'), /such as --post \/\./, 'no address at all')
})

t.test('two posts with one slug: the first has it', async (t) => {
  const item = (link: string) => `<item><link>${link}</link></item>`
  const two = rss(
    item('https://blog.example/2024/a/') + item('https://blog.example/2023/a/') + item('https://blog.example/b'),
  )
  const { posts, sharedSlugs } = await readText(t, two)
  t.same(
    posts.map(({ url }) => url),
    ['https://blog.example/2024/a/', 'https://blog.example/b'],
  )
  t.same(sharedSlugs, ['a'])
  const longer = await readText(t, two, { post: '^/(?<slug>.+?)/?$' })
  t.same(
    longer.posts.map(({ slug }) => slug),
    ['2024/a', '2023/a', 'b'],
  )
  const twice = await readText(t, rss(item('https://blog.example/a') + item('https://blog.example/a')))
  t.same(twice.sharedSlugs, [], 'the same post twice')
})

t.test('feeds with the least that a feed may have', async (t) => {
  const atom = await readText(t, '<feed><entry><link href="https://blog.example/x"/></entry></feed>')
  t.match(atom.posts, [{ slug: 'x', title: undefined }], 'Atom without a namespace, a title and an id')
  t.same((await readText(t, '<feed><entry><id>tag:blog.example,2025:x</id></entry></feed>')).others, 1)
  t.same((await readText(t, '<feed><entry><id>x</id></entry><entry/></feed>')).others, 2)
  const byId = { id: 'https://blog.example/by-id', summary: 'A <b> & c', content_html: '<p>Text</p>' }
  t.match((await readText(t, JSON.stringify({ items: [byId] }))).posts, [{ slug: 'by-id', excerpt: 'A <b> & c' }])
  const entry = { id: '1', url: 'x', banner_image: 'b.png' }
  for (const head of [{ feed_url: 'https://blog.example/feed.json' }, { home_page_url: 'https://blog.example/' }])
    t.match((await readText(t, JSON.stringify({ ...head, items: [entry] }))).posts, [
      { url: 'https://blog.example/x', image: { url: 'https://blog.example/b.png' } },
    ])
  const bare = await readText(t, JSON.stringify({ items: [entry] }), { baseUrl: 'https://blog.example/' })
  t.match(bare.posts, [{ url: 'https://blog.example/x' }])
})

t.test('a post whose link names it by a parameter', async (t) => {
  const items = ['?p=7', '?utm_source=rss&p=8', '?cat=2'].map(
    (query) => `<item><link>https://blog.example/${query}</link></item>`,
  )
  const { posts } = await readText(t, rss(items.join('')), { post: '/?p=' })
  t.match(posts, [
    { slug: '7', url: 'https://blog.example/?p=7' },
    { slug: '8', url: 'https://blog.example/?p=8' },
  ])
  t.equal(posts.length, 2)
})
