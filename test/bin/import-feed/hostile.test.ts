import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { collectPosts } from '../../../bin/import-feed/collect-posts.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

async function readText(t: Test, text: string | Buffer) {
  const file = join(await temporaryDirectory(t), 'feed.xml')
  await writeFile(file, text)
  return collectPosts({ source: file, post: undefined, baseUrl: undefined })
}

const item = '<item><title>&a9;</title><link>https://blog.example/a</link></item>'

t.test('entities of a DTD are not expanded, and nothing is loaded by it', async (t) => {
  const entities = Array.from(
    { length: 10 },
    (_none, n) => `<!ENTITY a${n} "${n === 0 ? 'lol' : `&a${n - 1};`.repeat(10)}">`,
  )
  const bomb = `<?xml version="1.0"?><!DOCTYPE rss [${entities.join('\n')}]><rss><channel>${item}</channel></rss>`
  t.match((await readText(t, bomb)).posts, [{ title: '&a9;' }])
  const outside = `<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a9 SYSTEM "file:///etc/passwd"> <!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><rss><channel>${item}</channel></rss>`
  t.match((await readText(t, outside)).posts, [{ title: '&a9;' }])
})

t.test('elements in elements, and attributes, without end', async (t) => {
  const link = '<link>https://blog.example/a</link>'
  const deep = (count: number) => `${'<b>'.repeat(count)}x${'</b>'.repeat(count)}`
  const tooDeep = /Expected elements in at most 1000 others, got more\./
  await t.rejects(readText(t, `<rss><channel><item>${link}${deep(200_000)}</item></channel></rss>`), tooDeep)
  await t.rejects(readText(t, `<rss>${'<channel>'.repeat(200_000)}`), tooDeep)
  t.equal((await readText(t, `<rss><channel><item>${link}${deep(900)}</item></channel></rss>`)).posts.length, 1)
  const attributes = Array.from({ length: 100_000 }, (_none, index) => `a${index}="x"`).join(' ')
  const names = 'xmlns:__proto__="y" xmlns:constructor="z" __proto__="x"'
  const named = `<rss ${attributes} ${names}><channel><item>${link}<constructor:x/><__proto__:y/></item></channel></rss>`
  t.equal((await readText(t, named)).posts.length, 1)
  const html = `<title>${'&lt;b&gt;'.repeat(100_000)}</title><description>${'&lt;div&gt;'.repeat(100_000)}x</description>`
  t.equal((await readText(t, `<rss><channel><item>${link}${html}</item></channel></rss>`)).posts.length, 1)
})

t.test('more entries, or more bytes, than there may be', async (t) => {
  const many = `<rss><channel>${'<item/>'.repeat(50_001)}</channel></rss>`
  await t.rejects(readText(t, many), /has more than 50,?000 entries: import its parts one by one\./)
  await t.rejects(readText(t, `{"items":[${'0,'.repeat(50_000)}0]}`), /has more than 50,?000 entries/)
  const packed = gzipSync(Buffer.concat([Buffer.from('<rss>'), Buffer.alloc(51 * 1024 * 1024, ' ')]))
  t.ok(packed.length < 100_000)
  await t.rejects(readText(t, packed), /could not be read: it has more than 50 MB/)
})

t.test('a document that is no feed, or half of one, changes nothing', async (t) => {
  const cases: [string | Buffer, RegExp][] = [
    ['', /is no feed: expected RSS, Atom, a JSON Feed or a sitemap\.$/],
    ['just text', /is no feed/],
    ['<opml version="2.0"><body/></opml>', /is no feed: .*, got <opml>\.$/],
    ['<svg xmlns="http://www.w3.org/2000/svg"/>', /got <svg>/],
    ['{"items": 5}', /is not a JSON Feed: expected an object with "items"\.$/],
    ['{"items": [', /is not a JSON Feed/],
    ['{}', /is not a JSON Feed/],
    ['<rss><channel><item><link>https://blog.example/a</link></item>', /is truncated: expected <\/rss> at its end/],
    ['<rss><channel><item><title>Half', /is truncated/],
    [gzipSync('<rss><channel/></rss>').subarray(0, 20), /could not be read: The gzip data cannot be read to its end/],
    ['<!DOCTYPE html><title>x</title>', /is an HTML page, expected a feed\. It names no feed: look for one/],
    [
      '<html xmlns="http://www.w3.org/1999/xhtml"><head><link rel="alternate" type="application/rss+xml" href="/feed/"/></head></html>',
      /It names 1 feed: \/feed\/$/,
    ],
    [
      `<!doctype HTML>\n<link rel=stylesheet href=x><link rel="home alternate" type=application/atom+xml href=https://blog.example/a.xml>
      <link rel=alternate hreflang=de href=/de/><link rel=alternate type="application/feed+json" href="https://blog.example/b.json"><link rel=alternate type=application/rss+xml>`,
      /It names 2 feeds: https:\/\/blog\.example\/a\.xml https:\/\/blog\.example\/b\.json$/,
    ],
  ]
  for (const [text, message] of cases) await t.rejects(readText(t, text), { message }, String(text).slice(0, 60))
})

t.test('a feed that is not well-formed is read as far as it makes sense', async (t) => {
  const { posts } = await readText(
    t,
    '\n\n<?xml version="1.0"?>\n<!-- <item> --><rss><channel><item><title>A & B</title><link>https://blog.example/a?x=1&y=2</link><p>open</item><item><LINK>https://blog.example/b</LINK><PubDate>2025-06-03</PubDate></item></channel></rss><!-- end -->',
  )
  t.match(posts, [{ url: 'https://blog.example/a?x=1&y=2' }, { slug: 'b', publishedAt: new Date('2025-06-03') }])
  t.equal(posts[0]?.title, 'A & B')
})

t.test('an empty feed has no posts', async (t) => {
  for (const text of [
    '<rss><channel/></rss>',
    '<feed xmlns="http://www.w3.org/2005/Atom"/>',
    '<urlset/>',
    '{"items":[]}',
  ])
    t.same(await readText(t, text), { posts: [], others: 0, sharedSlugs: [] }, text)
})

t.test('a file that cannot be read, and an address that cannot be fetched', async (t) => {
  const source = (source: string) => collectPosts({ source, post: undefined, baseUrl: undefined })
  await t.rejects(source('/nowhere/feed.xml'), { message: /^\/nowhere\/feed\.xml could not be read: ENOENT/ })
  await t.rejects(source('/'), { message: /could not be read: EISDIR/ })
  for (const address of ['ftp://blog.example/feed', 'file:///etc/passwd', 'data://x', 'https://', 'javascript://x'])
    await t.rejects(
      source(address),
      { message: 'Expected an address with http or https, or the path of a file.' },
      address,
    )
  await t.rejects(source('https://user:secret@blog.example/feed'), { message: /without user and password/ })
})
