/**
 * A server of `bench/hit.ts`, on a free port: `hit-server.ts <mode> <log level>`. All modes reply to `GET
 * /posts/popular` with the same bytes and headers. The server replies to each message with its resource usage.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import popularPosts from '../index.ts'
import { ListBody } from '../lists/list-body.ts'
import { bindToCore, SERVER_CORE } from './cores.ts'
import { HEADERS, POSTS } from './fixtures/list.ts'
import { serve } from './server-process.ts'

/** What serves the list. */
export type ServerMode = 'node' | 'constant' | 'ours' | 'redis'

const [mode, level = 'silent', redisUrl = ''] = process.argv.slice(2)
const logger = level === 'silent' ? false : { level }
const list = new ListBody(Buffer.from(JSON.stringify(POSTS.slice(0, 10))), HEADERS.etag)

const identity = { body: list.body, headers: HEADERS }
const gzip = { body: list.encoded('gzip').body, headers: { ...HEADERS, 'content-encoding': 'gzip' } }
const brotli = { body: list.encoded('br').body, headers: { ...HEADERS, 'content-encoding': 'br' } }

/** Compares only with the exact accept-encoding headers that `bench/hit.ts` sends. */
function constantFor(headers: IncomingHttpHeaders) {
  const accepted = headers['accept-encoding']
  return accepted === undefined ? identity : accepted === 'gzip' ? gzip : brotli
}

async function start(): Promise<number> {
  if (mode === 'node') {
    const server = createServer((request, response) => {
      const { body, headers } = constantFor(request.headers)
      if (request.headers['if-none-match'] === HEADERS.etag) return response.writeHead(304, headers).end()
      return response.writeHead(200, { ...headers, 'content-length': body.length }).end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }
  const app = Fastify({ logger })
  if (mode === 'constant') {
    app.get('/posts/popular', (request, reply) => {
      const { body, headers } = constantFor(request.headers)
      reply.headers(headers)
      return request.headers['if-none-match'] === HEADERS.etag ? reply.code(304).send() : reply.send(body)
    })
  } else {
    const load = async () => POSTS
    await app.register(popularPosts, { load, ...(mode === 'redis' ? { redisUrl, redisPrefix: 'bench:hit' } : {}) })
  }
  return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
}

bindToCore(SERVER_CORE)
serve(await start())
