// Checks the routes of the plugin in the app of a host.
import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
const adminToken = 'a token for the tests'

/** Options with real servers. */
export function options() {
  const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = process.env
  return { databaseUrl, redisUrl, redisPrefix: `hosts-${process.pid}`, adminToken }
}

/** Sends requests to each route, closes the app, and throws what is wrong. */
export async function check(app, prefix = '') {
  const get = (path, headers = {}) => app.inject({ url: prefix + path, headers })
  const post = (path, headers) => app.inject({ method: 'POST', url: prefix + path, headers: { ...READER, ...headers } })
  try {
    await app.ready()
    const list = await get('/posts/popular?limit=5&days=7')
    assert.equal(list.statusCode, 200, list.body)
    assert.deepEqual(
      list.json().map(({ slug }) => slug),
      ['post-1', 'post-2', 'post-3', 'post-4', 'post-5'],
    )
    const packed = await get('/posts/popular?limit=5&days=7', { 'accept-encoding': 'gzip' })
    assert.equal(packed.headers['content-encoding'], 'gzip')
    assert.equal(gunzipSync(packed.rawPayload).toString(), list.body)
    for (const [{ headers }, accepted] of [
      [list, 'identity'],
      [packed, 'gzip'],
    ]) {
      const again = await get('/posts/popular?limit=5&days=7', {
        'accept-encoding': accepted,
        'if-none-match': headers.etag,
      })
      assert.deepEqual([again.statusCode, again.body, again.headers.etag], [304, '', headers.etag])
      assert.match(String(headers['cache-control']), /^public, max-age=/)
      assert.match(String(headers.vary), /accept-encoding/i)
    }
    const refused = await get('/posts/popular?limit=0')
    assert.deepEqual([refused.statusCode, refused.json().code], [400, 'PP_BAD_QUERY'])
    assert.equal((await get('/categories')).statusCode, 200)
    assert.equal((await post('/posts/post-1/views')).statusCode, 204)
    assert.equal((await get('/posts/post-1/views.gif', READER)).headers['content-type'], 'image/gif')
    assert.equal((await post('/posts/none/views')).statusCode, 404)
    assert.equal((await post('/posts/popular/invalidate')).statusCode, 401)
    const invalidated = await post('/posts/popular/invalidate', { authorization: `Bearer ${adminToken}` })
    assert.deepEqual([invalidated.statusCode, invalidated.json().reach], [200, 'all'])
  } finally {
    await app.close()
  }
}
