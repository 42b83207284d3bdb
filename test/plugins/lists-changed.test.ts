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

t.test('onListsChanged is called after an invalidation, and after a refresh, with the reason', async (t) => {
  const { app, changes } = await start(t)
  await app.popularPosts.get()
  await sleep(1_500)
  t.same(changes, [], 'a list that was in no cache')
  await app.popularPosts.invalidate('hard', { idempotencyKey: 'one' })
  await app.popularPosts.invalidate('hard', { idempotencyKey: 'one' })
  await until(() => changes.length === 1, 'the first call')
  await app.popularPosts.get()
  await app.popularPosts.invalidate('soft')
  await until(() => changes.length === 2, 'the second call')
  await app.popularPosts.get()
  await until(() => changes.length === 3, 'the third call')
  await app.popularPosts.refresh()
  await until(() => changes.length === 4, 'the fourth call')
  await app.close()
  t.same(
    changes.map(({ reason }) => reason),
    ['hard', 'soft', 'refreshed', 'refreshed'],
    'one change by its name is one call',
  )
})

for (const [name, change, reason, redis] of [
  ['an edit over Redis', { title: 'Changed' }, 'soft', true],
  ['a withdrawal over Redis', { is_private: true }, 'hard', true],
  ['an edit without Redis', { title: 'Changed' }, 'soft', false],
  ['a withdrawal without Redis', { is_private: true }, 'hard', false],
] as const)
  t.test(`a purged CDN gets the new list: ${name}`, async (t) => {
    const { db, url: databaseUrl } = await createTestDatabase(t)
    await fillBlog(db, 2)
    const shared = redis ? { redisUrl: await redisUrl(), redisPrefix: `test:${randomUUID()}` } : {}
    const reasons: string[] = []
    /** What the CDN has, of one process or the other. */
    let stored: string[] = []
    const apps: Awaited<ReturnType<typeof start>>[] = []
    const fetchList = async () => {
      const { app } = apps[reasons.length % 2] as (typeof apps)[number]
      stored = (await app.popularPosts.get()).map(({ title }) => title)
    }
    const onListsChanged = async ({ reason }: ListsChange) => {
      reasons.push(reason)
      await fetchList()
    }
    for (let index = 0; index < 2; index += 1) apps.push(await start(t, { databaseUrl, ...shared, onListsChanged }))
    for (const { app } of apps) await app.popularPosts.get()
    await fetchList()
    t.same(stored, ['Post 1', 'Post 2'])
    await db.updateTable('posts').set(change).where('slug', '=', 'post-1').execute()
    const wanted = 'title' in change ? ['Changed', 'Post 2'] : ['Post 2']
    await until(() => String(stored) === String(wanted), 'the CDN has the new list')
    t.equal(reasons[0], reason)
    if (redis) t.ok(reasons.length <= 2, `${reasons}: of the fleet one process is called`)
  })

t.test('calls do not overlap, and changes during a call are one later call', async (t) => {
  const calls: { reason: string; end: () => void }[] = []
  const onListsChanged = ({ reason }: ListsChange) => {
    const { promise, resolve } = deferred<void>()
    calls.push({ reason, end: () => resolve() })
    return promise
  }
  const { app } = await start(t, { onListsChanged })
  await app.popularPosts.invalidate('soft')
  await until(() => calls.length === 1, 'the first call')
  for (const mode of ['soft', 'hard', 'soft'] as const) await app.popularPosts.invalidate(mode)
  await app.popularPosts.refresh()
  await sleep(1_500)
  t.equal(calls.length, 1)
  calls[0]?.end()
  await until(() => calls.length === 2, 'the second call')
  t.equal(calls[1]?.reason, 'hard', 'the strongest reason')
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
  t.same(closing.changes, [{ reason: 'hard' }])
  t.same(closing.warnings(), [])

  const suspended = await start(t, { ...shared, redisPrefix: `test:${randomUUID()}`, backgroundWork: false })
  await suspended.app.popularPosts.invalidate('hard', { wait: false })
  await servicesOf(suspended.app).idle()
  t.same(suspended.changes, [{ reason: 'hard' }])
})
