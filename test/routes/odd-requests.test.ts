import fc from 'fast-check'
import t from 'tap'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { sendBytes, statusOf } from '../helpers/send-bytes.ts'

const ANSWERS = [200, 304, 400, 404, 405, 414, 431]

t.test('no malformed request gets a 5xx or ends the process', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const app = await createService(t, url)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const request = (target: string, method = 'GET', headers = '') =>
    `${method} ${target} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`

  const targets = [
    '/posts/popular',
    '/categories',
    '/health/live',
    '/health/ready',
    '/',
    '/posts',
    '/posts/popular/',
    '//posts//popular',
    '/%70osts/popular',
    '/posts/popular%00',
    '/..%2f..%2fetc/passwd',
    '/%',
    '/%zz',
    '*',
    'http://elsewhere/posts/popular',
    `/${'a'.repeat(8000)}`,
  ]
  const names = [
    'limit',
    'days',
    'sort',
    'category',
    'tag',
    'author',
    'exclude',
    'limit[]',
    'days.x',
    '__proto__',
    'constructor',
    'toString',
    '',
  ]
  const values = [
    '',
    '0',
    '-0',
    '1.5',
    '1e308',
    '9'.repeat(500),
    'NaN',
    'Infinity',
    '%00',
    '%',
    '%zz',
    '%F0%9F%92%A9',
    '%ED%A0%80',
    '%c0%ae',
    "'%20or%201=1--",
    '{}',
    '[]',
    '<script>',
    '%0d%0aSet-Cookie:x',
    '../../etc/passwd',
    'true',
    'undefined',
    '\xff\xfe',
    'a&a&a',
    '#{7*7}',
  ]
  const methods = [
    'POST',
    'PUT',
    'DELETE',
    'PATCH',
    'OPTIONS',
    'HEAD',
    'TRACE',
    'PROPFIND',
    'CONNECT',
    'BREW',
    'get',
    'GET\t',
    '',
  ]
  const requests = [
    ...targets.map((target) => request(target)),
    ...names.flatMap((name) => values.map((value) => request(`/posts/popular?${name}=${value}`))),
    ...values.map((value) => request(`/categories?days=${value}&${value}`)),
    ...methods.map((method) => request('/posts/popular', method)),
    request(`/posts/popular?${'a=1&'.repeat(25_000)}`),
    request(`/posts/popular?${'exclude=x&'.repeat(1500)}`),
    request('/posts/popular', 'GET', `If-None-Match: ${'"x", '.repeat(2000)}\r\n`),
    request('/posts/popular', 'GET', `X-Long: ${'x'.repeat(100_000)}\r\n`),
    request('/posts/popular', 'GET', 'Accept: nothing/at-all\r\nAccept-Encoding: zstd;q=0\r\nRange: bytes=5-1\r\n'),
    `${request('/posts/popular', 'POST', 'Content-Type: application/json\r\nContent-Length: 3\r\n')}{"a`,
    request('/posts/popular', 'GET', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'),
    'GET /posts/popular HTTP/9.9\r\n\r\n',
    'nonsense\r\n\r\n',
    '\x16\x03\x01\x02\x00',
    '',
  ]
  t.ok(requests.length > 200)
  for (const one of requests) {
    const status = statusOf(await sendBytes(port, one))
    // The server may close the connection of a request that is not HTTP.
    t.ok(
      ANSWERS.includes(status) || (status === 0 && !one.startsWith('GET /posts')),
      `${status} for ${JSON.stringify(one.slice(0, 80))}`,
    )
  }

  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.string({ unit: 'binary', maxLength: 40 }), async (name, value) => {
      const { statusCode } = await app.inject({ url: '/posts/popular', query: { [name]: value } })
      if (!ANSWERS.includes(statusCode)) throw new Error(`${statusCode} for ${name}=${JSON.stringify(value)}`)
    }),
    { numRuns: 500 },
  )
  t.equal((await app.inject('/posts/popular')).statusCode, 200)
})

t.test('errors have one shape, are not cached, and hide internal details', async (t) => {
  const { url } = await createTestDatabase(t)
  const app = await createService(t, url)
  app.get('/broken', async () => {
    throw new Error('password=secret at 10.0.0.1')
  })
  app.get('/failed', async () => {
    throw Object.assign(new Error('relation "posts" at 10.0.0.1'), { code: '42P01', statusCode: 503 })
  })
  for (const path of ['/broken', '/failed']) {
    const response = await app.inject(path)
    t.same(response.json(), {
      statusCode: 500,
      code: 'PP_INTERNAL_ERROR',
      error: 'Internal Server Error',
      message: 'Something went wrong on our side.',
    })
    t.equal(response.headers['cache-control'], 'no-store')
  }
  const missing = await app.inject({ method: 'POST', url: '/nowhere?secret=1' })
  t.same(missing.json(), {
    statusCode: 404,
    code: 'PP_NOT_FOUND',
    error: 'Not Found',
    message: 'Expected a path of this service, got POST /nowhere.',
  })
  t.equal(missing.headers['cache-control'], 'no-store')
})
