import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisViewBuffer } from '../../views/redis-view-buffer.ts'
import { MAX_BATCHES } from '../../views/view-buffer.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { redisUrl } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'

const DOWN = 'redis://admin:secret@127.0.0.1:9'

/** Runs `popular-posts flush`. Resolves to its exit code and its output on both streams. */
async function flush(t: Test, env: NodeJS.ProcessEnv) {
  const program = runProgram(t, 'bin/popular-posts.ts', { args: ['flush'], env })
  const code = await program.ended()
  return { code, stdout: program.stdout(), stderr: program.stderr() }
}

async function setUp(t: Test) {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const [post] = await db.selectFrom('posts').select('id').execute()
  const prefix = `test:${randomUUID()}`
  const client = new Redis(await redisUrl())
  t.teardown(() => client.disconnect())
  const buffer = createRedisViewBuffer({ client, prefix, dedupSeconds: 900 })
  let visitors = 0
  return {
    pool,
    buffer,
    env: { DATABASE_URL: databaseUrl, REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix },
    async view(times: number, bucketStartMs = 0) {
      for (let time = 0; time < times; time += 1) {
        visitors += 1
        await buffer.add({ visitors: [`${visitors}`], postId: String(post?.id), bucketStartMs, timeMs: 0 })
      }
    },
    /** fillBlog gives the post 999 views. */
    total: async () =>
      Number((await db.selectFrom('post_views_total').select('views').executeTakeFirst())?.views) - 999,
  }
}

t.test('npx popular-posts flush counts the views in Redis, once', async (t) => {
  const { env, view, total } = await setUp(t)
  await view(1)
  t.same(await flush(t, env), { code: 0, stdout: 'Counted 1 view in 1 batch.\n', stderr: '' })
  t.same(await flush(t, env), { code: 0, stdout: 'No views were waiting.\n', stderr: '' })
  t.equal(await total(), 1)
})

t.test('flush counts all views, also when the maximum of batches waits', async (t) => {
  const { env, buffer, view, total } = await setUp(t)
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    await view(2)
    await buffer.take(`batch ${batch}`)
  }
  await view(3)
  const views = 2 * MAX_BATCHES + 3
  t.match(await flush(t, env), { code: 0, stdout: `Counted ${views} views in ${MAX_BATCHES + 1} batches.\n` })
  t.equal(await total(), views)
})

t.test('flush says that another transaction holds the counters, or that Redis refuses keys', async (t) => {
  const { env, pool, view, total } = await setUp(t)
  await view(2)
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('update post_views_total set views = views')
  t.same(await flush(t, env), {
    code: 1,
    stdout: 'Left for the next run: 1 batch.\n',
    stderr:
      'Not all views could be counted (55P03): another transaction holds rows of the counters; end it, or wait for its end (pg_stat_activity names it); nothing is lost, run it again.\n',
  })
  await holder.query('rollback')
  holder.release()
  t.match(await flush(t, env), { code: 0, stdout: 'Counted 2 views in 1 batch.\n' })
  t.equal(await total(), 2)

  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  await cluster.command('ACL', 'SETUSER', 'ann', 'on', '>secret', '+@all', `~{${env.CACHE_PREFIX}}:*`)
  const REDIS_URL = `redis://ann:secret@127.0.0.1:${cluster.nodes[0]?.port}`
  t.match(await flush(t, { ...env, REDIS_URL, REDIS_CLUSTER: 'true' }), {
    code: 1,
    stdout: '',
    stderr:
      /^Not all views could be counted \(NOPERM\): Redis refuses keys or commands to the user in REDIS_URL; .* to the shards; /,
  })
})

t.test('flush reports how many batches cannot be counted, and counts the others', async (t) => {
  const { env, pool, buffer, view, total } = await setUp(t)
  // As with a partitioned counter that lacks a partition.
  await pool.query("alter table post_views_daily add constraint no_partition check (day > '1990-01-01')")
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    await view(1)
    await buffer.take(`batch ${batch}`)
  }
  t.match(await flush(t, env), { code: 1, stdout: '', stderr: /^Not all views could be counted \(23514\)/ })
  await view(1)
  await buffer.take('one more')
  await view(3, Date.UTC(2026, 0))
  t.match(await flush(t, env), {
    code: 1,
    stdout:
      'Counted 3 views in 1 batch. Left for the next run: 1 batch. ' +
      `Set aside for ten minutes, because they cannot be counted: ${MAX_BATCHES} batches.\n`,
    stderr: /^Not all views could be counted \(23514\)/,
  })
  t.equal(await total(), 3)
})

t.test('flush fails with one sentence, without addresses and secrets, and exit code 1', async (t) => {
  const { env, pool, view, total } = await setUp(t)
  await view(4)
  const cases: [NodeJS.ProcessEnv, RegExp][] = [
    [{ ...env, REDIS_URL: '' }, /^REDIS_URL is not set: without Redis each service counts its own views, .+\.\n$/],
    [{ ...env, REDIS_URL: DOWN }, /^Redis in REDIS_URL could not be reached \(.+\): check that it runs\.\n$/],
    [
      { ...env, DATABASE_URL: 'postgres://admin:secret@127.0.0.1:9/blog' },
      /^No server answers at the address in DATABASE_URL \(ECONNREFUSED\): .+\.\n$/,
    ],
  ]
  for (const [variables, sentence] of cases) {
    const { code, stdout, stderr } = await flush(t, variables)
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, sentence)
    t.notMatch(stderr, /secret|admin|127\.0\.0\.1/)
  }
  await pool.query('alter table post_views_batch rename to away')
  t.match(await flush(t, env), {
    code: 1,
    stdout: '',
    stderr: /^Not all views could be counted \(42P01\): check .+; nothing is lost, run it again\.\n$/,
  })
  await pool.query('alter table away rename to post_views_batch')
  t.match(await flush(t, env), { code: 0, stdout: 'Counted 4 views in 1 batch.\n' })
  t.equal(await total(), 4)
})
