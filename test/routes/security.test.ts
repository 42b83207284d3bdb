import t from 'tap'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const origin = 'https://blog.example'

t.test('the security headers', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 2)

  await t.test('every reply has nosniff and forbids frames', async (t) => {
    const app = await createService(t, url)
    for (const path of [
      '/posts/popular',
      '/categories',
      '/health/live',
      '/posts/popular?limit=x',
      '/nowhere',
      '/%zz',
    ]) {
      const { headers } = await app.inject(path)
      t.match(headers, { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' }, path)
    }
  })

  await t.test('requests have a timeout and a maximum size', async (t) => {
    const app = await createService(t, url)
    t.equal(app.server.requestTimeout, 30_000)
    const payload = JSON.stringify('x'.repeat(17_000))
    const headers = { 'content-type': 'application/json' }
    t.match((await app.inject({ method: 'POST', url: '/nowhere', headers, payload })).json(), { statusCode: 413 })
  })

  await t.test('pages of other origins cannot read replies without CORS_ORIGIN', async (t) => {
    const app = await createService(t, url)
    const { headers } = await app.inject({ url: '/posts/popular', headers: { origin } })
    t.notOk(Object.keys(headers).some((name) => name.startsWith('access-control')))
    t.equal((await app.inject({ method: 'OPTIONS', url: '/posts/popular', headers: { origin } })).statusCode, 404)
  })

  await t.test('pages of the origins in CORS_ORIGIN can read replies', async (t) => {
    const app = await createService(t, url, {
      CORS_ORIGIN: `https://a.example, ${origin}`,
      ADMIN_TOKEN: 'x'.repeat(16),
    })
    const allowed = async (origin: string) =>
      (await app.inject({ url: '/posts/popular', headers: { origin } })).headers['access-control-allow-origin']
    t.equal(await allowed(origin), origin)
    t.equal(await allowed('https://a.example'), 'https://a.example')
    for (const other of ['https://blog.example.evil.example', 'http://blog.example', 'null', 'https://BLOG.example'])
      t.equal(await allowed(other), undefined, other)
    const { headers } = await app.inject({ url: '/posts/popular', headers: { origin } })
    t.match(headers, { vary: /Origin/, 'access-control-expose-headers': 'age, cache-status, etag' })
    t.equal(headers['access-control-allow-credentials'], undefined)

    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/posts/popular/invalidate',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    })
    t.equal(preflight.statusCode, 204)
    t.equal(preflight.headers['access-control-allow-headers'], 'content-type, if-none-match', 'no token from a page')
  })

  await t.test('with * any page can read replies', async (t) => {
    const app = await createService(t, url, { CORS_ORIGIN: '*' })
    const { headers } = await app.inject({ url: '/posts/popular', headers: { origin } })
    t.equal(headers['access-control-allow-origin'], '*')
  })
})
