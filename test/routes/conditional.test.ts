import t from 'tap'
import { isNotModified } from '../../lib/entity-tags.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { createSite, fillWithDemo } from '../helpers/site.ts'

t.test('If-None-Match decides, and no other header (RFC 9110, 13.1.2)', async (t) => {
  const etag = '"a,b"'
  for (const header of [etag, `W/${etag}`, '*', ' * ', `"x", W/"y" , ${etag}`, `"x",${etag}`, `"x",W/${etag},"z"`])
    t.equal(isNotModified(header, etag), true, header)
  for (const header of [undefined, '', '"x"', 'a,b', '"a,b', '"a","b"', '"*"', '"a,b-gzip"', '"A,B"'])
    t.equal(isNotModified(header, etag), false, String(header))
  t.equal(isNotModified('"'.repeat(16_000), etag), false)
})

t.test('fetch of Node.js gets 304 from each route with a tag, although it sends no-cache', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillWithDemo(db)
  const app = await createSite(t, { db, url })
  const sent: unknown[] = []
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  app.server.on('request', ({ headers }) => void sent.push(headers['cache-control']))
  const hashed = /\/site\.[0-9a-f]+\.js/.exec(await (await fetch(address)).text())?.[0]
  for (const path of ['/posts/popular?limit=50', '/categories', '/popular-posts.js', String(hashed)]) {
    for (const method of ['GET', 'HEAD']) {
      const first = await fetch(address + path, { method })
      const etag = String(first.headers.get('etag'))
      t.match(etag, /^"[\w-]+"$/, path)
      for (const header of [etag, `W/${etag}`, `"x", ${etag}`]) {
        const again = await fetch(address + path, { method, headers: { 'if-none-match': header } })
        t.equal(again.status, 304, `${method} ${path} ${header}`)
        t.equal(await again.text(), '')
        t.equal(sent.at(-1), 'no-cache', 'fetch adds it')
      }
      const plain = (await app.inject({ method: method as 'GET', url: path })).headers.etag
      for (const control of ['no-cache', 'max-age=0', 'no-store', 'no-cache, no-store']) {
        const headers = { 'if-none-match': String(plain), 'cache-control': control, pragma: 'no-cache' }
        t.equal((await app.inject({ method: method as 'GET', url: path, headers })).statusCode, 304, control)
      }
      t.equal((await fetch(address + path, { method, headers: { 'if-none-match': '"x"' } })).status, 200)
    }
  }
})
