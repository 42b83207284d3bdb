import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisStore } from '../../cache/redis-store.ts'
import { createMaintenance } from '../../composition/maintenance.ts'
import { createRedisClient } from '../../lib/redis.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { createRedisViewBuffer } from '../../views/redis-view-buffer.ts'
import { MAX_BATCH_COUNTS } from '../../views/view-buffer.ts'
import { fillBlog } from '../helpers/blog.ts'
import { cacheStatus, startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { startRedis } from '../helpers/redis.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

const PREFIX = 'blog:popular'
const READER = { method: 'POST', ip: '192.0.2.7', headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/144.0' } }
const REFUSED = 'popular posts: Redis refuses SUBSCRIBE to this user, the process asks Redis for changes instead'

/** The rights of the user as the operator reads them. */
const [, documented = ''] =
  /^ACL SETUSER popular-posts on >PASSWORD (resetchannels [^`]+)```$/m.exec(
    await readFile('docs/operating.md', 'utf8'),
  ) ?? []
const RIGHTS = documented.trim().split(/\s+/)

/** A server whose default user may do nothing, and its administrator. */
async function startGuarded(t: Test) {
  const server = await startRedis()
  t.teardown(() => server.stop())
  await redisCommand(server.port, 'ACL', 'SETUSER', 'admin', 'on', '>root', '~*', '&*', '+@all')
  const admin = new Redis(`redis://admin:root@127.0.0.1:${server.port}`)
  t.teardown(async () => admin.disconnect())
  await admin.call('ACL', 'SETUSER', 'default', 'off')
  return {
    url: `redis://popular-posts:PASSWORD@127.0.0.1:${server.port}`,
    admin,
    /** Empties the server, and gives the user these rights and no others. */
    async allow(rights: readonly string[]) {
      await admin.flushall()
      await admin.script('FLUSH')
      await admin.call('ACL', 'SETUSER', 'popular-posts', 'reset', 'on', '>PASSWORD', ...rights)
      await admin.call('ACL', 'LOG', 'RESET')
    },
    /** What the user was refused, each once. */
    async refused(): Promise<string[]> {
      const entries = (await admin.call('ACL', 'LOG', '100')) as string[][]
      const refused = new Set(entries.map((entry) => `${entry[3]} ${entry[entry.indexOf('object') + 1]}`))
      // ioredis ignores the refusal. Redis 7.0 does not know this command, so the documented rights cannot name it.
      refused.delete('command client|setinfo')
      return [...refused]
    },
  }
}

const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 3)

/** Every operation of the store of lists and of the buffer of views. */
async function runAllOperations(url: string): Promise<void> {
  const client = createRedisClient(url)
  client.on('error', () => {})
  try {
    const store = createRedisStore({ client, prefix: PREFIX, nonce: randomUUID })
    const key = `{${PREFIX}}:${randomUUID()}`
    const lifetime = { ttlMs: 60_000, keepForMs: 60_000, unreadForMs: 10_000 }
    const steps: (() => Promise<unknown>)[] = [
      () => store.generation(),
      () => store.acquire(key, { token: 'one', leaseMs: 60_000 }),
      () => store.renew(key, { token: 'one', generation: '', replaces: '', epoch: '' }, 60_000),
      () => store.fail(key, { token: 'one', generation: '', replaces: '', epoch: '' }, { firstMs: 1, maxMs: 1 }),
      async () => {
        const acquired = await store.acquire(key, { token: 'two', leaseMs: 60_000, force: true })
        if (acquired.state === 'lease') await store.commit(key, acquired.lease, Buffer.from('list'), lifetime)
      },
      () => store.acquire(key, { token: 'three', leaseMs: 60_000 }),
      () => store.release(key, { token: 'three' }),
      () => store.invalidateKey(key),
      () => store.invalidate('hard'),
      () => store.invalidate('soft', randomUUID()),
    ]
    const buffer = createRedisViewBuffer({ client, prefix: PREFIX, dedupSeconds: 900 })
    const view = (postId: string) =>
      buffer.add({ visitors: [`${randomUUID()}`], postId, bucketStartMs: 900_000, timeMs: 900_000 })
    const takeAndDrop = async () => {
      const { ids } = await buffer.take(randomUUID())
      for (const id of ids) {
        await buffer.read(id)
        await buffer.drop(id)
      }
    }
    steps.push(
      () => buffer.salt('2026-11-26'),
      () => view('1'),
      () => buffer.take('small').then(({ made }) => buffer.setAside(String(made), 1)),
      () => takeAndDrop(),
      () => Promise.all(Array.from({ length: MAX_BATCH_COUNTS + 1 }, (_none, index) => view(`post ${index}`))),
      () => takeAndDrop(),
      () => takeAndDrop(),
    )
    for (const step of steps) await step().catch(() => undefined)
  } finally {
    client.disconnect()
  }
}

t.test('the documented rights are enough for a service and the command line', async (t) => {
  const { url, admin, allow, refused } = await startGuarded(t)
  t.ok(RIGHTS.length > 30, 'the document has the rights')
  await allow(RIGHTS)
  const start = () => startLoggedApp(t, { databaseUrl, viewFlushSeconds: 0, redisUrl: url })
  const [one, other] = [await start(), await start()]
  t.match(await cacheStatus(one.app), 'fwd=miss; stored')
  t.match(await cacheStatus(other.app), /^hit/)
  t.equal(await one.app.postViews.record({ slug: 'post-1', request: READER }), 'counted')
  t.equal(await other.app.postViews.record({ slug: 'post-1', request: READER }), 'repeat')
  t.match(await one.app.postViews.flush(), { views: 1 })
  await other.app.popularPosts.invalidate('hard', { idempotencyKey: 'once' })
  t.match(await cacheStatus(one.app), 'fwd=miss; stored')
  const services = servicesOf(one.app)
  if (services.database !== undefined) {
    const { backend, lists } = services
    await createMaintenance({ prefix: PREFIX, db, lists, redis: backend.redis, ...services.database })()
  }
  for (const command of ['invalidate', 'flush']) {
    const env = { DATABASE_URL: databaseUrl, REDIS_URL: url }
    const program = runProgram(t, 'bin/popular-posts.ts', { args: [command], env })
    t.equal(await program.ended(), 0, program.stderr())
  }
  await runAllOperations(url)
  t.same(await refused(), [], 'Redis has refused nothing')
  t.same([...one.warnings(), ...other.warnings()], [])
  t.match(await admin.keys('*'), [RegExp(`^\\{${PREFIX}\\}:`)])
})

t.test('each of the documented rights is needed', async (t) => {
  const { url, allow, refused } = await startGuarded(t)
  await allow(RIGHTS)
  await runAllOperations(url)
  t.same(await refused(), [])
  // A service subscribes, and needs the channel for that.
  const needed = RIGHTS.filter((right) => right.startsWith('+') && right !== '+subscribe')
  for (const right of needed) {
    await allow(RIGHTS.filter((other) => other !== right))
    await runAllOperations(url)
    t.ok((await refused()).length > 0, `without ${right}`)
  }
})

t.test('the user of ElastiCache in the template has them too', async (t) => {
  const template = await readFile('aws/resources.yml', 'utf8')
  const [, text = ''] = /AccessString: >-\n\s+on ((?:.+\n)+?)\w/.exec(template) ?? []
  const access = text.trim().split(/\s+/)
  t.same(
    RIGHTS.filter((right) => !access.includes(right)),
    [],
  )
  const { url, allow, refused } = await startGuarded(t)
  // Redis before 7.2 does not know the name.
  await allow(access.filter((right) => right !== '+client|setinfo'))
  await runAllOperations(url)
  t.same(await refused(), [])
})

/** Rights with which a process can use Redis, but hears of no messages. */
const WITHOUT_MESSAGES: Record<string, (rights: string[]) => string[]> = {
  'no channel, the default of Redis 7': (rights) => rights.filter((right) => !right.startsWith('&')),
  'another channel': (rights) => rights.map((right) => (right.startsWith('&') ? '&other' : right)),
  'no PUBLISH and no SUBSCRIBE': (rights) => rights.filter((right) => !/publish|subscribe/.test(right)),
  'all commands, but no channel': () => ['~*', '+@all', 'resetchannels'],
}

for (const [name, change] of Object.entries(WITHOUT_MESSAGES)) {
  t.test(`${name}: lists are stored, invalidations confirmed, and the log says it once`, async (t) => {
    const { url, admin, allow } = await startGuarded(t)
    await allow(change(RIGHTS))
    let loading = Promise.resolve()
    const start = () =>
      startLoggedApp(t, {
        redisUrl: url,
        async load() {
          await loading
          return [{ slug: 'a' }]
        },
      })
    const [one, other] = [await start(), await start()]
    let end = () => {}
    loading = new Promise((resolve) => {
      end = resolve
    })
    const first = one.app.inject('/posts/popular')
    await until(async () => (await admin.exists(`{${PREFIX}}:v2:50:30:lease`)) === 1, 'a process loads')
    const second = other.app.inject('/posts/popular')
    await until(() => other.app.popularPosts.stats().waits === 1, 'the other one waits')
    end()
    t.match((await first).headers['cache-status'], /fwd=miss; stored/)
    t.equal((await second).statusCode, 200)
    t.equal(one.app.popularPosts.stats().loads + other.app.popularPosts.stats().loads, 1)
    t.equal(one.app.popularPosts.stats().commitsRefused, 0)
    await other.app.popularPosts.invalidate()
    t.match(await cacheStatus(one.app), 'fwd=miss; stored')
    await admin.call('CLIENT', 'KILL', 'USER', 'popular-posts')
    await until(async () => /^hit/.test(await cacheStatus(one.app)), 'the process has connected again')
    for (const { lines, warnings } of [one, other]) {
      t.same(
        warnings().filter((text) => !text.includes('store-down')),
        [REFUSED],
      )
      t.match(
        lines.find(({ msg }) => msg === REFUSED),
        { err: { code: 'NOPERM' } },
      )
      t.notMatch(JSON.stringify(lines), 'PASSWORD')
    }
  })
}

/** Rights with which a process cannot use Redis. */
const TOO_FEW: Record<string, (rights: string[]) => string[]> = {
  'no scripts': (rights) => rights.filter((right) => !right.startsWith('+eval')),
  'the keys of another prefix': (rights) => rights.map((right) => (right.startsWith('~') ? '~other:*' : right)),
  'no HSET': (rights) => rights.filter((right) => right !== '+hset'),
}

for (const [name, change] of Object.entries(TOO_FEW)) {
  t.test(`${name}: the log says NOPERM, and the process serves without Redis`, async (t) => {
    const { url, allow } = await startGuarded(t)
    await allow(change(RIGHTS))
    const { app, of } = await startLoggedApp(t, { redisUrl: url })
    t.equal((await app.inject('/posts/popular')).statusCode, 200)
    t.match(of('store-down'), [{ err: { code: 'NOPERM', message: undefined } }])
  })
}
