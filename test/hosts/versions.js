// An app with a Kysely instance, a pool and a client of Redis of its own.
import assert from 'node:assert/strict'
import Fastify from 'fastify'
import popularPosts from 'fastify-popular-posts'
import * as ioredis from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { check, options } from './check.js'

// ioredis 5.0 has no export of this name for ES modules.
const Redis = ioredis.Redis ?? ioredis.default

// In a function: a bundle of CommonJS has no await at its top.
async function run() {
  const { databaseUrl, redisUrl, ...others } = options()
  const pool = new pg.Pool({ connectionString: databaseUrl })
  pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  const redis = new Redis(redisUrl)
  const app = Fastify()
  await app.register(popularPosts, { ...others, db: new Kysely({ dialect: new PostgresDialect({ pool }) }), redis })
  await app.ready()
  const before = await app.postViews.count('post-2')
  const request = { method: 'GET', ip: '203.0.113.7', headers: { 'user-agent': 'Firefox/129.0 Mozilla/5.0' } }
  assert.equal(await app.postViews.record({ slug: 'post-2', request }), 'counted')
  await app.postViews.flush()
  assert.equal(await app.postViews.count('post-2'), before + 1)
  await check(app)
  await pool.end()
  redis.disconnect()
  process.stdout.write('all is well\n')
}

void run()
