import t from 'tap'
import { createFlusher } from '../../views/flusher.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import type { BufferedViews, ViewBuffer } from '../../views/view-buffer.ts'
import { createNames } from '../helpers/virtual-clock.ts'

/** A buffer, and a ledger of what was counted, as the database keeps it. */
function setUp() {
  const buffer = createMemoryViewBuffer({ dedupSeconds: 900 })
  const nonce = createNames()
  const ledger = new Map<string, number>()
  const late = new Set<string>()
  const sum = (batch: BufferedViews[]) => batch.reduce((all, { views }) => all + views, 0)
  const count = async (id: string, read: () => Promise<BufferedViews[]>) => {
    if (late.has(id)) return 'late' as const
    if (ledger.has(id)) return 'before' as const
    ledger.set(id, 0)
    try {
      ledger.set(id, sum(await read()))
    } catch (error) {
      // As a transaction that is rolled back.
      ledger.delete(id)
      throw error
    }
    return 'counted' as const
  }
  let visitors = 0
  return {
    ...{ buffer, ledger, late, count, nonce },
    flush: createFlusher({ buffer, count, nonce }),
    total: () => [...ledger.values()].reduce((all, views) => all + views, 0),
    async view(times = 1) {
      for (let index = 0; index < times; index += 1) {
        visitors += 1
        await buffer.add({ visitors: [String(visitors)], postId: '1', quarterMs: 0, timeMs: 0 })
      }
    },
  }
}

t.test('a flush counts what is in the buffer, and nothing twice', async (t) => {
  const { flush, view, total } = setUp()
  t.same(await flush(), { batches: 0, views: 0, waiting: 0 })
  await view(3)
  t.same(await flush(), { batches: 1, views: 3, waiting: 0 })
  t.same(await flush(), { batches: 0, views: 0, waiting: 0 })
  await view(2)
  t.same(await flush(), { batches: 1, views: 2, waiting: 0 })
  t.equal(total(), 5)
})

t.test('who asks while a flush runs gets the next one, which has everything from before the question', async (t) => {
  const { flush, view, total } = setUp()
  await view(1)
  const first = flush()
  await new Promise((resolve) => setImmediate(resolve))
  await view(1)
  const [second, third] = [flush(), flush()]
  t.equal(second, third)
  await Promise.all([first, second])
  t.equal(total(), 2)
})

t.test('a flush killed after any step is finished by another, and every view is counted once', async (t) => {
  for (const dies of ['take', 'count', 'read', 'commit', 'drop'] as const) {
    const { buffer, count, nonce, flush, view, total } = setUp()
    const killed = new Error('killed')
    const after = <A, T>(step: string, work: (argument: A) => Promise<T>) => {
      return async (argument: A) => {
        const done = await work(argument)
        if (step === dies) throw killed
        return done
      }
    }
    const dying: ViewBuffer = {
      ...buffer,
      take: after('take', buffer.take),
      read: after('read', buffer.read),
      drop: after('drop', buffer.drop),
    }
    const flusher = createFlusher({
      ...{ buffer: dying, nonce },
      async count(id, read) {
        if (dies === 'count') throw killed
        const counted = await count(id, read)
        if (dies === 'commit') throw killed
        return counted
      },
    })
    await view(4)
    await t.rejects(flusher(), killed, dies)
    await view(2)
    await flush()
    t.equal(total(), 6, dies)
    t.same(await flush(), { batches: 0, views: 0, waiting: 0 })
  }
})

t.test('a batch that comes too late is left for the next flush, the others are counted', async (t) => {
  const { buffer, late, flush, view, total } = setUp()
  await view(1)
  await buffer.take('theirs')
  late.add('theirs')
  await view(2)
  t.same(await flush(), { batches: 1, views: 2, waiting: 1 })
  t.equal(total(), 2)
  t.same(await buffer.take('none'), ['theirs'])
  late.clear()
  t.same(await flush(), { batches: 1, views: 1, waiting: 0 })
})

t.test('a failing flush is no reason not to try again', async (t) => {
  const { buffer, count, nonce, view, total } = setUp()
  let isDown = true
  const flush = createFlusher({
    ...{ buffer, nonce },
    count: (id, read) => (isDown ? Promise.reject(new Error('ECONNREFUSED')) : count(id, read)),
  })
  await view(1)
  const failing = [flush(), flush()]
  for (const one of await Promise.allSettled(failing)) t.equal(one.status, 'rejected')
  isDown = false
  await flush()
  t.equal(total(), 1)
})
