import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { createSite } from '../../helpers/site.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const element = readFileSync(join(root, 'public', 'popular-posts.js'))

t.test('the element is cached briefly by name and permanently by hash, and works from any origin', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const app = await createSite(t, { db, url })
  const { body: page } = await app.inject('/')
  const [, hashed = '', integrity] = /src="(\/popular-posts\.[0-9a-f]{16}\.js)" integrity="([^"]+)"/.exec(page) ?? []
  t.equal(integrity, `sha384-${createHash('sha384').update(element).digest('base64')}`)
  for (const [path, caching] of [
    ['/popular-posts.js', 'public, max-age=300'],
    [hashed, 'public, max-age=31536000, immutable'],
  ] as const) {
    const response = await app.inject(path)
    t.match(response.headers, {
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': caching,
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
    })
    t.equal(response.body, element.toString())
    const again = await app.inject({ url: path, headers: { 'if-none-match': String(response.headers.etag) } })
    t.match(again, { statusCode: 304, body: '' })
  }
  for (const [, path] of page.matchAll(/(?:href|src)="(\/[\w.-]+\.\w+)"/g)) {
    const { statusCode, headers } = await app.inject(String(path))
    t.equal(statusCode, 200, String(path))
    t.match(headers['cache-control'], 'immutable')
  }
  t.equal((await app.inject('/popular-posts.0000000000000000.js')).statusCode, 404)
})

t.test('the integrity hash in the documents is that of the element', (t) => {
  const digest = createHash('sha384').update(element).digest('base64')
  const file = `popular-posts.${createHash('sha256').update(element).digest('hex').slice(0, 16)}.js`
  for (const document of ['docs/element.md']) {
    const text = readFileSync(join(root, document), 'utf8')
    const wanted = `integrity="sha384-${digest}"`
    t.ok(text.includes(wanted), `${document}: expected ${wanted}`)
    t.ok(text.includes(`/${file}`), `${document}: expected /${file}`)
  }
  t.ok(element.length < 24_000, 'a few kilobytes')
  t.end()
})
