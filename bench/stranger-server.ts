/**
 * A server of `bench/stranger.ts`, on a free port: `stranger-server.ts <database URL> <Redis URL>`. It replies to each message
 * with its resource usage.
 */
import Fastify from 'fastify'
import popularPosts from '../index.ts'
import { bindToCore, SERVER_CORE } from './cores.ts'
import { serve } from './server-process.ts'

const [, , databaseUrl, redisUrl] = process.argv
bindToCore(SERVER_CORE)
const app = Fastify()
await app.register(popularPosts, { databaseUrl, redisUrl })
serve(Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port))
