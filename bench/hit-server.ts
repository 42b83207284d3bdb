/**
 * A server of `bench/hit.ts`, on a free port: `hit-server.ts <way> <log level>`. All ways answer `GET /posts/popular`
 * with the same bytes and the same headers. To each message it answers with what it has used.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import popularPosts from '../index.ts'
import { ListBody } from '../lists/list-body.ts'
import { keepToCore, SERVER_CORE } from './cores.ts'
import { HEADERS, POSTS } from './fixtures/list.ts'
import { serve } from './server-process.ts'

/** How the list is answered. */
export type Way = 'node' | 'constant' | 'ours' | 'redis'

const [way, level = 'silent', redisUrl = ''] = process.argv.slice(2)
const logger = level === 'silent' ? false : { level }
const list = new ListBody(Buffer.from(JSON.stringify(POSTS.slice(0, 10))))

const identity = { body: list.body, headers: HEADERS }
const gzip = { body: list.encoded('gzip').body, headers: { ...HEADERS, 'content-encoding': 'gzip' } }
const brotli = { body: list.encoded('br').body, headers: { ...HEADERS, 'content-encoding': 'br' } }

/** Constants, chosen by the very words that `bench/hit.ts` says. */
function constantFor(headers: IncomingHttpHeaders) {
  const accepted = headers['accept-encoding']
  return accepted === undefined ? identity : accepted === 'gzip' ? gzip : brotli
}

async function start(): Promise<number> {
  if (way === 'node') {
    const server = createServer((request, response) => {
      const { body, headers } = constantFor(request.headers)
      if (request.headers['if-none-match'] === HEADERS.etag) return response.writeHead(304, headers).end()
      return response.writeHead(200, { ...headers, 'content-length': body.length }).end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }
  const app = Fastify({ logger })
  if (way === 'constant') {
    app.get('/posts/popular', (request, reply) => {
      const { body, headers } = constantFor(request.headers)
      reply.headers(headers)
      return request.headers['if-none-match'] === HEADERS.etag ? reply.code(304).send() : reply.send(body)
    })
  } else {
    const load = async () => POSTS
    await app.register(popularPosts, { load, ...(way === 'redis' ? { redisUrl, prefix: 'bench:hit' } : {}) })
  }
  return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
}

keepToCore(SERVER_CORE)
serve(await start())
