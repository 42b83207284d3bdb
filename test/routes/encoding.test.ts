import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import Fastify from 'fastify'
import t from 'tap'
import popularPosts from '../../index.ts'

const POSTS = Array.from({ length: 50 }, (_none, index) => ({
  slug: `post-${index}`,
  title: `A post, number ${index}`,
}))
const DECODE: Record<string, (bytes: Buffer) => Buffer> = { br: brotliDecompressSync, gzip: gunzipSync }

t.test('a list is compressed with the encoding that the client prefers', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { load: async () => POSTS })
  const get = (accepted: string | undefined, path = '/posts/popular?limit=50', headers = {}) =>
    app.inject({
      url: path,
      headers: { ...(accepted === undefined ? {} : { 'accept-encoding': accepted }), ...headers },
    })
  const plain = await get(undefined)
  t.equal(plain.headers['content-encoding'], undefined)
  t.equal(plain.headers['vary'], 'accept-encoding')

  const cases: [accepted: string, encoding: string | undefined][] = [
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, deflate', 'gzip'],
    ['br;q=0.5, gzip;q=0.9', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['*', 'br'],
    ['identity', undefined],
    ['identity;q=1, gzip;q=0.1', undefined],
    ['deflate', undefined],
    ['', undefined],
    ['nonsense;;;,,q=', undefined],
    ['GZIP', 'gzip'],
    ['Br;Q=0.5, GZip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['X-GZIP;q=0.3, deflate', 'gzip'],
    ['*;q=0', undefined],
    ['br;q=0, *', 'gzip'],
    ['br;q=0.000, *;q=0.5', 'gzip'],
    ['gzip;q=0, *', 'br'],
    ['identity;q=0', undefined],
    ['identity;q=0, *;q=0', undefined],
    ['gzip;q=abc', undefined],
    ['gzip ; q=0.5 , br ; q=0.4', 'gzip'],
    ['identity;q=0.5, *;q=0.1', undefined],
    ['zstd, dcb', undefined],
    [`${'gzip, '.repeat(80)}br`, 'br'],
    [`${'gzip, '.repeat(90)}br`, undefined],
  ]
  for (const [accepted, encoding] of cases) {
    for (const time of ['first', 'second']) {
      const response = await get(accepted)
      t.equal(response.headers['content-encoding'], encoding, `${accepted}, the ${time} time`)
      t.equal(response.headers['vary'], 'accept-encoding')
      const body = encoding === undefined ? response.rawPayload : DECODE[encoding]?.(response.rawPayload)
      t.ok(body?.equals(plain.rawPayload))
      t.equal(response.headers['content-length'], String(response.rawPayload.length))
    }
  }

  await t.test('every encoding has its own ETag, and 304 compares it', async (t) => {
    const tags = new Map<string, string>()
    for (const accepted of ['br', 'gzip', 'identity']) tags.set(accepted, String((await get(accepted)).headers['etag']))
    t.equal(new Set(tags.values()).size, 3)
    for (const [accepted, etag] of tags) {
      for (const other of tags.keys()) {
        const response = await get(other, undefined, { 'if-none-match': etag })
        t.equal(response.statusCode, accepted === other ? 304 : 200, `${other} with the tag of ${accepted}`)
        t.equal(response.headers['vary'], 'accept-encoding')
      }
    }
    const head = await app.inject({
      method: 'HEAD',
      url: '/posts/popular?limit=50',
      headers: { 'accept-encoding': 'br' },
    })
    t.match(head, { body: '', headers: { 'content-encoding': 'br', etag: tags.get('br') } })
  })

  await t.test('a small reply is not compressed', async (t) => {
    const response = await get('br', '/posts/popular?limit=2')
    t.equal(response.headers['content-encoding'], undefined)
    t.equal(response.json().length, 2)
  })

  await t.test('the Vary header of a host is kept', async (t) => {
    const host = Fastify()
    t.teardown(() => host.close())
    host.addHook('onRequest', async (_request, reply) => void reply.header('vary', 'origin'))
    await host.register(popularPosts, { load: async () => POSTS })
    for (const accepted of ['br', 'identity']) {
      const { headers } = await host.inject({ url: '/posts/popular', headers: { 'accept-encoding': accepted } })
      t.equal(headers['vary'], 'origin, accept-encoding')
    }
  })
})
