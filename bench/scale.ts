/**
 * Measures the work of Redis and PostgreSQL for each view: the figures of docs/scale.md. `npm run bench:scale`.
 */
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { bucketStart, countBatch } from '../db/count-views.ts'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/schema.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { createRedisViewBuffer } from '../views/redis-view-buffer.ts'
import { machine, versionOf } from './machine.ts'
import { median } from './rounds.ts'

const POSTS = 10_000
const VIEWS = 200_000
const ROUNDS = 7
const say = (text: string) => process.stdout.write(`${text}\n`)
const settings = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }
const [postgres, redis] = await Promise.all([startPostgres({ settings }), startRedis()])
const pool = new Pool({ connectionString: postgres.url, max: 2 })
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
const client = new Redis(redis.url)

async function sumOfInfo(section: string, ...names: string[]): Promise<number> {
  const info = await client.info(section)
  return names.reduce((sum, name) => sum + Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]), 0)
}

try {
  say(`${machine()}; ${versionOf(postgres)}; ${versionOf(redis)}`)
  await migrateToLatest(db)
  await pool.query(`
    insert into posts (slug, title, url, published_at)
    select 'post-' || n, 'A post', '/posts/post-' || n, now() from generate_series(1, ${POSTS}) n`)
  for (const posts of [100, 1_000, 10_000]) {
    const found: number[] = []
    for (let round = 0; round <= ROUNDS; round += 1) {
      const nowMs = Date.now()
      const views = { bucketStartMs: bucketStart(nowMs), views: 5 }
      const buckets = Array.from({ length: posts }, (_none, index) => ({ postId: index + 1, ...views }))
      const startedAtMs = performance.now()
      await countBatch(db, { id: `${posts} ${round}`, timeZone: 'UTC', nowMs, buckets })
      if (round > 0) found.push(performance.now() - startedAtMs)
    }
    say(`a flush of views of ${posts} posts: ${median(found).toFixed(0)} ms of PostgreSQL`)
  }

  const buffer = createRedisViewBuffer({ client, prefix: 'bench:scale', dedupSeconds: 900 })
  const [memory, cpu] = [
    await sumOfInfo('memory', 'used_memory'),
    await sumOfInfo('cpu', 'used_cpu_user', 'used_cpu_sys'),
  ]
  const timeMs = Date.now()
  for (let sent = 0; sent < VIEWS; sent += 1_000) {
    await Promise.all(
      Array.from({ length: 1_000 }, (_none, index) => {
        const visitor = (sent + index).toString(36).padStart(22, 'x')
        const postId = String(((sent + index) % POSTS) + 1)
        return buffer.add({ visitors: [visitor], postId, bucketStartMs: bucketStart(timeMs), timeMs })
      }),
    )
  }
  const [memoryNow, cpuNow] = [
    await sumOfInfo('memory', 'used_memory'),
    await sumOfInfo('cpu', 'used_cpu_user', 'used_cpu_sys'),
  ]
  say(`a view: ${(((cpuNow - cpu) * 1e6) / VIEWS).toFixed(1)} µs of Redis, all cores`)
  say(`a remembered visitor: ${((memoryNow - memory) / VIEWS).toFixed(0)} bytes of Redis`)
} finally {
  client.disconnect()
  await db.destroy()
  await Promise.all([postgres.remove(), redis.stop()])
}
