import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { collectPosts } from '../../../bin/import-feed/collect-posts.ts'
import { expectPublic } from '../../../bin/import-feed/fetch-document.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'

const FEED = '<rss><channel><item><title>Ä</title><link>/a/</link></item></channel></rss>'

/** Starts a web server. Resolves to its origin. */
async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function read(source: string, { post, timeoutMs }: { post?: string; timeoutMs?: number } = {}) {
  const pattern = post === undefined ? undefined : compilePostPattern(post)
  return collectPosts({ source, post: pattern, baseUrl: undefined, timeoutMs })
}

t.test('a feed is fetched through redirects, and its links are relative to its last address', async (t) => {
  const agents = new Set<string>()
  const origin = await serve(t, ({ url, headers }, response) => {
    agents.add(`${headers['user-agent']} ${headers.accept?.includes('application/rss+xml')}`)
    if (url === '/old') response.writeHead(301, { location: '/older' }).end('moved')
    else if (url === '/older') response.writeHead(302, { location: `${origin}/new/feed.xml?key=secret` }).end()
    else response.end('<rss><channel><item><link>x/</link></item></channel></rss>')
  })
  const { posts } = await read(`${origin}/old`)
  t.equal(posts[0]?.url, `${origin}/new/x/`)
  t.same([...agents], ['popular-posts import-feed true'])
})

t.test('bytes are unpacked and decoded by what the server says', async (t) => {
  const replies: Record<string, (response: ServerResponse) => void> = {
    '/plain': (response) =>
      response.setHeader('content-type', 'text/xml; charset="ISO-8859-1"').end(Buffer.from(FEED, 'latin1')),
    '/bom': (response) => response.end(`\uFEFF${FEED}`),
    '/utf16': (response) => response.end(Buffer.from(`\uFEFF${FEED}`, 'utf16le')),
    '/gzip': (response) => response.setHeader('content-encoding', 'gzip').end(gzipSync(FEED)),
    '/feed.xml.gz': (response) => response.setHeader('content-type', 'application/gzip').end(gzipSync(FEED)),
  }
  const origin = await serve(t, ({ url = '' }, response) => replies[url]?.(response))
  for (const path of Object.keys(replies))
    t.match((await read(origin + path)).posts, [{ title: 'Ä', url: `${origin}/a/` }], path)
})

t.test('a reply that is no feed says what came, without the query of the address', async (t) => {
  const bomb = gzipSync(Buffer.alloc(51 * 1024 * 1024, ' '))
  const replies: Record<string, (response: ServerResponse) => void> = {
    '/404': (response) => response.writeHead(404).end('<rss/>'),
    '/500': (response) => response.writeHead(500).end(),
    '/304': (response) => response.writeHead(304).end(),
    '/204': (response) => response.writeHead(204).end(),
    '/loop': (response) => response.writeHead(302, { location: '/loop?key=secret' }).end(),
    '/ftp': (response) => response.writeHead(302, { location: 'ftp://127.0.0.1/' }).end(),
    '/file': (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/bad': (response) => response.writeHead(302, { location: 'http://' }).end(),
    '/html': (response) => response.end('<!doctype html><link rel=alternate type="application/rss+xml" href="/feed/">'),
    '/bomb': (response) => response.setHeader('content-encoding', 'gzip').end(bomb),
    '/broken': (response) =>
      response.writeHead(200, { 'content-length': '100' }).write('<rss>', () => response.destroy()),
    '/hangs': () => {},
    '/drips': (response) => void response.write('<rss>'),
  }
  const origin = await serve(t, ({ url = '' }, response) => replies[url.replace(/\?.*/, '')]?.(response))
  const messages: Record<string, RegExp> = {
    '/404': /\/404 could not be loaded: expected status 200, got 404\.$/,
    '/500': /expected status 200, got 500/,
    '/304': /expected status 200, got 304/,
    '/204': /\/204 is no feed/,
    '/loop': /\/loop leads from one address to another, more than 5 times\.$/,
    '/ftp': /leads to an address that is neither http nor https\.$/,
    '/file': /leads to an address that is neither http nor https\.$/,
    '/bad': /leads to an address that is neither http nor https\.$/,
    '/html': /is an HTML page, expected a feed\. It names 1 feed: http:\/\/127\.0\.0\.1:\d+\/feed\/$/,
    '/bomb': /\/bomb could not be read: it has more than 50 MB$/,
    '/broken': /\/broken could not be read: terminated$/,
  }
  for (const [path, message] of Object.entries(messages))
    await t.rejects(read(`${origin}${path}?key=secret`), { message }, path)
  for (const path of Object.keys(messages))
    await read(`${origin}${path}?key=secret`).catch(({ message }: Error) => t.notMatch(message, /secret|passwd/, path))
  for (const path of ['/hangs', '/drips'])
    await t.rejects(
      read(origin + path, { timeoutMs: 300 }),
      { message: /did not arrive within 0\.3 seconds: try again later\.$/ },
      path,
    )
  await t.rejects(read('http://127.0.0.1:1/feed?key=secret'), {
    message: 'http://127.0.0.1:1/feed could not be loaded (ECONNREFUSED): check the address.',
  })
  await t.rejects(read('http://nowhere.invalid/feed'), { message: /could not be loaded \((?:ENOTFOUND|EAI_AGAIN)\)/ })
  await t.rejects(
    read('http://127.0.0.1:25/feed'),
    { message: /could not be loaded: check the address\./ },
    'a port that fetch refuses',
  )
})

t.test('an index of sitemaps: nested, packed, each once, on its own host only', async (t) => {
  const index = (...locations: string[]) =>
    `<sitemapindex>${locations.map((loc) => `<sitemap><loc>${loc}</loc></sitemap>`).join('')}</sitemapindex>`
  const page = (path: string) => `<urlset><url><loc>${path}</loc><lastmod>2025-06-03</lastmod></url></urlset>`
  const requests: string[] = []
  const origin = await serve(t, ({ url = '' }, response) => {
    requests.push(url)
    const documents: Record<string, string | Buffer> = {
      '/sitemap.xml': index('/posts.xml.gz', `${origin}/nested.xml`, '/posts.xml.gz', '/sitemap.xml'),
      '/nested.xml': index('/more.xml', '/nested.xml'),
      '/posts.xml.gz': gzipSync(page('/blog/a/')),
      '/more.xml': page('/blog/b/'),
      '/foreign.xml': index('http://127.0.0.1:1/x.xml'),
      '/empty.xml': index(''),
      '/many.xml': index(...Array.from({ length: 500 }, (_none, each) => `/${each}.xml`)),
      '/missing.xml': index('/404.xml'),
      '/half.xml': index('/posts.xml.gz', '/cut.xml'),
      '/cut.xml': '<urlset><url><loc>/blog/c/</loc></url>',
      '/big.xml': index('/big-1.xml', '/big-2.xml'),
      '/big-1.xml': `<urlset>${'<url><loc>/blog/x/</loc></url>'.repeat(30_000)}</urlset>`,
      '/big-2.xml': `<urlset>${'<url><loc>/blog/x/</loc></url>'.repeat(30_000)}</urlset>`,
    }
    const body = documents[url]
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  const sitemap = (path: string) => read(origin + path, { post: '/blog/' })
  t.same(
    (await sitemap('/sitemap.xml')).posts.map(({ slug }) => slug),
    ['a', 'b'],
  )
  t.same(
    requests,
    ['/sitemap.xml', '/posts.xml.gz', '/nested.xml', '/sitemap.xml', '/more.xml'].filter(
      (path, place, all) => all.indexOf(path) === place,
    ),
    'each is fetched once',
  )
  await t.rejects(sitemap('/foreign.xml'), { message: /names a sitemap that is not on its own host/ })
  await t.rejects(sitemap('/empty.xml'), { message: /names a sitemap that is not on its own host/ })
  await t.rejects(sitemap('/many.xml'), { message: /names more than 500 sitemaps/ })
  await t.rejects(sitemap('/missing.xml'), { message: /\/404\.xml could not be loaded: expected status 200, got 404/ })
  await t.rejects(sitemap('/half.xml'), { message: /\/cut\.xml is truncated/ })
  await t.rejects(sitemap('/big.xml'), { message: /has more than 50,?000 pages/ })
})

t.test('a stranger cannot lead a request into a private network', async (t) => {
  const names: Record<string, string[]> = {
    'blog.example': ['93.184.216.34'],
    'inside.example': ['93.184.216.34', '10.0.0.7'],
  }
  const check = (to: string, from: string) =>
    expectPublic(new URL(to), new URL(from), async (host) => names[host] ?? [])
  const refused = {
    message:
      /^http:\/\/blog\.example\/feed leads to .*, which is in a private network: if that is right, name that address\.$/,
  }
  for (const host of [
    ...['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '2130706433'],
    ...['[::1]', '[fd00::1]', '[fe80::1]', '[::ffff:127.0.0.1]', 'inside.example'],
  ])
    await t.rejects(check(`http://${host}/`, 'http://blog.example/feed'), refused, host)
  for (const host of ['blog.example', '93.184.216.35', '[2606:2800:220:1::1]', 'unknown.example'])
    await t.resolves(check(`http://${host}/`, 'http://blog.example/feed'), host)
  await t.resolves(check('http://10.0.0.8/', 'http://10.0.0.7/feed'), 'from a private network')
  const inside = await serve(t, (_request, response) => response.end(FEED))
  const outside = await serve(t, (_request, response) => response.writeHead(307, { location: `${inside}/` }).end())
  t.equal((await read(outside)).posts.length, 1, 'from a private host that the user has named')
})
