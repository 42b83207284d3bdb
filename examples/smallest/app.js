import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import popularPosts from 'fastify-popular-posts'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
const db = new Kysely({ dialect: new PostgresDialect({ pool }) })

const app = Fastify({ logger: true })
await app.register(fastifyRedis, { url: process.env.REDIS_URL ?? 'redis://127.0.0.1' })
await app.register(popularPosts, { db, redis: '' })
app.addHook('onClose', () => db.destroy())

await app.listen({ port: Number(process.env.PORT ?? 3000) })
