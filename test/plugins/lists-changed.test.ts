import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { ListsChange, PopularPostsOptions } from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { fillBlog } from '../helpers/blog.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { deferred } from '../helpers/virtual-clock.ts'

/** Starts an app that keeps the changes it is called with. */
async function start(t: Parameters<typeof startLoggedApp>[0], options: PopularPostsOptions = {}) {
  const changes: ListsChange[] = []
  const logged = await startLoggedApp(t, { onListsChanged: (change) => changes.push(change), ...options })
  return { ...logged, changes }
}

t.test('onListsChanged is called after an invalidation, with its mode', async (t) => {
  const { app, changes } = await start(t)
  await app.popularPosts.get()
  await app.popularPosts.refresh()
  t.same(changes, [], 'a load is none')
  await app.popularPosts.invalidate()
  await until(() => changes.length === 1, 'the first call')
  await app.popularPosts.invalidate('soft')
  await until(() => changes.length === 2, 'the second call')
  t.same(changes, [{ mode: 'hard' }, { mode: 'soft' }])
  await app.popularPosts.invalidate('hard', { idempotencyKey: 'one' })
  await app.popularPosts.invalidate('hard', { idempotencyKey: 'one' })
  await until(() => changes.length === 3, 'the third call')
  await app.close()
  t.equal(changes.length, 3, 'one change by its name is one call')
})

t.test('of a fleet over Redis one process is called, when no process serves an older list', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const shared = { databaseUrl, redisUrl: await redisUrl(), redisPrefix: `test:${randomUUID()}` }
  const titles: unknown[] = []
  const other = await start(t, shared)
  const titleOf = async () => (await other.app.popularPosts.get({ limit: 1 }))[0]?.title
  const one = await start(t, { ...shared, onListsChanged: async () => titles.push(await titleOf()) })
  const calls = () => titles.length + other.changes.length
  t.equal(await titleOf(), 'Post 1')
  await db.updateTable('posts').set({ title: 'Changed' }).where('slug', '=', 'post-1').execute()
  await until(() => calls() > 0, 'a process is called')
  t.equal(await titleOf(), 'Changed')
  t.same([...new Set(titles)], titles.length === 0 ? [] : ['Changed'])
  await one.app.popularPosts.invalidate('hard', { wait: false })
  await until(() => titles.length > 0, 'the process that invalidates is called')
  t.equal(titles.at(-1), 'Changed')
  await sleep(1_500)
  t.equal(calls(), 2)
})

t.test('without Redis each process is called', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const apps = [await start(t, { databaseUrl }), await start(t, { databaseUrl })]
  await db.updateTable('posts').set({ title: 'Changed' }).execute()
  for (const { changes } of apps) {
    await until(() => changes.length > 0, 'it is called')
    t.match(changes, [{ mode: 'hard' }])
  }
})

t.test('calls do not overlap, and changes during a call are one later call', async (t) => {
  const calls: { mode: string; end: () => void }[] = []
  const onListsChanged = ({ mode }: ListsChange) => {
    const { promise, resolve } = deferred<void>()
    calls.push({ mode, end: () => resolve() })
    return promise
  }
  const { app } = await start(t, { onListsChanged })
  await app.popularPosts.invalidate('soft')
  await until(() => calls.length === 1, 'the first call')
  for (const mode of ['soft', 'hard', 'soft'] as const) await app.popularPosts.invalidate(mode)
  await sleep(20)
  t.equal(calls.length, 1)
  calls[0]?.end()
  await until(() => calls.length === 2, 'the second call')
  t.equal(calls[1]?.mode, 'hard')
  calls[1]?.end()
})

t.test('an error of onListsChanged is logged, and the next change is reported', async (t) => {
  const errors = [
    () => Promise.reject(new Error('refused')),
    () => {
      throw new Error('thrown')
    },
  ]
  let calls = 0
  const { app, warnings } = await start(t, {
    onListsChanged: () => {
      calls += 1
      return errors[calls - 1]?.()
    },
  })
  for (const call of [1, 2, 3]) {
    await app.popularPosts.invalidate()
    await until(() => calls === call, `call ${call}`)
  }
  t.same(warnings(), Array(2).fill('popular posts: onListsChanged failed'))
  await t.rejects(start(t, { onListsChanged: 'purge' as never }), /onListsChanged: expected a function, got "purge"/)
})

t.test('an app that closes makes the pending call first, and a suspended process after it', async (t) => {
  const shared = { redisUrl: await redisUrl() }
  const closing = await start(t, { ...shared, redisPrefix: `test:${randomUUID()}` })
  await closing.app.popularPosts.invalidate('hard', { wait: false })
  t.same(closing.changes, [], 'copies of the list are still served')
  await closing.app.close()
  t.same(closing.changes, [{ mode: 'hard' }])
  t.same(closing.warnings(), [])

  const suspended = await start(t, { ...shared, redisPrefix: `test:${randomUUID()}`, backgroundWork: false })
  await suspended.app.popularPosts.invalidate('hard', { wait: false })
  await servicesOf(suspended.app).idle()
  t.same(suspended.changes, [{ mode: 'hard' }])
})
