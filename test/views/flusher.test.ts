import t from 'tap'
import { createFlusher } from '../../views/flusher.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import { MAX_BATCH_COUNTS, MAX_BATCHES, type ViewBuffer, type ViewCount } from '../../views/view-buffer.ts'
import { createNames } from '../helpers/virtual-clock.ts'

/** A flush that rejects after an error, like that of the plugin. */
function flushOf(options: Parameters<typeof createFlusher>[0]) {
  const flusher = createFlusher(options)
  return async () => {
    const { error, ...flushed } = await flusher.flush()
    if (error !== undefined) throw error
    return flushed
  }
}

/** A buffer, and a ledger of counted batches, like that of the database. */
function setUp() {
  const buffer = createMemoryViewBuffer({ dedupSeconds: 900 })
  const nonce = createNames()
  const ledger = new Map<string, number>()
  const late = new Set<string>()
  const sum = (batch: ViewCount[]) => batch.reduce((all, { views }) => all + views, 0)
  const count = async (id: string, read: () => Promise<ViewCount[]>) => {
    if (late.has(id)) return 'late' as const
    if (ledger.has(id)) return 'before' as const
    ledger.set(id, 0)
    try {
      ledger.set(id, sum(await read()))
    } catch (error) {
      // Like a transaction that is rolled back.
      ledger.delete(id)
      throw error
    }
    return 'counted' as const
  }
  let visitors = 0
  return {
    buffer,
    ledger,
    late,
    count,
    nonce,
    flush: flushOf({ buffer, count, nonce }),
    total: () => [...ledger.values()].reduce((all, views) => all + views, 0),
    async view(times = 1) {
      for (let index = 0; index < times; index += 1) {
        visitors += 1
        await buffer.add({ visitors: [String(visitors)], postId: '1', bucketStartMs: 0, timeMs: 0 })
      }
    },
  }
}

t.test('a flush counts the views in the buffer, each once', async (t) => {
  const { flush, view, total } = setUp()
  t.same(await flush(), { batches: 0, views: 0, waiting: 0, aside: 0 })
  await view(3)
  t.same(await flush(), { batches: 1, views: 3, waiting: 0, aside: 0 })
  t.same(await flush(), { batches: 0, views: 0, waiting: 0, aside: 0 })
  await view(2)
  t.same(await flush(), { batches: 1, views: 2, waiting: 0, aside: 0 })
  t.equal(total(), 5)
})

t.test('a caller during a flush gets the next flush, which counts all views from before the call', async (t) => {
  const { buffer, count, nonce, view, total } = setUp()
  const { flush } = createFlusher({ buffer, count, nonce })
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
      setAside: () => Promise.reject(killed),
    }
    const flusher = flushOf({
      buffer: dying,
      nonce,
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
    t.same(await flush(), { batches: 0, views: 0, waiting: 0, aside: 0 })
  }
})

t.test('a batch after the time limit is left for the next flush, the others are counted', async (t) => {
  const { buffer, late, flush, view, total } = setUp()
  await view(1)
  await buffer.take('theirs')
  late.add('theirs')
  await view(2)
  t.same(await flush(), { batches: 1, views: 2, waiting: 1, aside: 0 })
  t.equal(total(), 2)
  t.same((await buffer.take('none')).ids, ['theirs'])
  late.clear()
  t.same(await flush(), { batches: 1, views: 1, waiting: 0, aside: 0 })
})

t.test('a flush that fails is retried by the next call', async (t) => {
  const { buffer, count, nonce, view, total } = setUp()
  let isDown = true
  const flush = flushOf({
    buffer,
    nonce,
    count: (id, read) => (isDown ? Promise.reject(new Error('ECONNREFUSED')) : count(id, read)),
  })
  await view(1)
  const failing = [flush(), flush()]
  for (const one of await Promise.allSettled(failing)) t.equal(one.status, 'rejected')
  isDown = false
  await flush()
  t.equal(total(), 1)
})

/** A flusher and its log; `fails` decides the result of the database for a batch. */
function setUpFaults(fails: (id: string) => boolean, isProbeFailing = () => false) {
  const { buffer, count, nonce, view, total } = setUp()
  const log: string[] = []
  const flusher = createFlusher({
    buffer,
    nonce,
    async count(id, read) {
      const batch = await read()
      if (batch.length === 0 ? isProbeFailing() : fails(id)) throw new Error(`no ${id}`)
      return count(id, async () => batch)
    },
    onAside: (id, error) => log.push(`${id}: ${String(error)}`),
  })
  return { buffer, flusher, view, total, log }
}

t.test('a batch that fails by itself is set aside, and the others are counted, also with many of them', async (t) => {
  const isPoison = (id: string) => id.startsWith('poison')
  const { buffer, flusher, view, total, log } = setUpFaults(isPoison)
  for (let index = 0; index < MAX_BATCHES; index += 1) {
    await view(1)
    await buffer.take(`poison ${index}`)
  }
  await view(3)
  const report = await flusher.flush()
  t.match(report, { views: 3, batches: 1, waiting: 0, aside: MAX_BATCHES, error: new Error('no poison 0') })
  t.equal(log.length, MAX_BATCHES)
  t.equal(log[0], 'poison 0: Error: no poison 0')
  await view(2)
  t.match(await flusher.flush(), { views: 2, waiting: 0, aside: MAX_BATCHES, error: undefined })
  t.equal(total(), 5)
  await view(1)
  await buffer.take('poison more')
  await view(1)
  t.match(await flusher.flush(), { views: 1, waiting: 1, aside: MAX_BATCHES }, 'no more of them are set aside')
})

t.test('a batch that was set aside is counted after the cause is removed', async (t) => {
  let isMended = false
  const { buffer, flusher, view, total } = setUpFaults((id) => id === 'poison' && !isMended)
  await view(4)
  await buffer.take('poison')
  t.match(await flusher.flush(), { views: 0, aside: 1 })
  isMended = true
  await buffer.setAside('poison', 0)
  t.match(await flusher.flush(), { views: 4, aside: 0, error: undefined })
  t.equal(total(), 4)
})

t.test('a batch whose connection broke is counted by the same flush', async (t) => {
  let failures = 0
  const { flusher, view, log } = setUpFaults(() => {
    failures += 1
    return failures === 1
  })
  await view(2)
  t.match(await flusher.flush(), { views: 2, waiting: 0, aside: 0, error: undefined })
  t.same(log, [])
})

t.test('when the database is down, no batch is set aside, and one batch is tried', async (t) => {
  let isDown = true
  const { buffer, flusher, view, total, log } = setUpFaults(
    () => isDown,
    () => isDown,
  )
  for (const id of ['first', 'second', 'third']) {
    await view(1)
    await buffer.take(id)
  }
  t.match(await flusher.flush(), { batches: 0, error: new Error('no first') })
  t.same(log, [])
  isDown = false
  t.match(await flusher.flush(), { batches: 3, waiting: 0, aside: 0, error: undefined })
  t.equal(total(), 3)
})

t.test(
  'a large buffer is counted batch by batch, with rests, until its time is up; then it is said what is left',
  async (t) => {
    const { buffer, count, nonce, total } = setUp()
    const posts = 4 * MAX_BATCH_COUNTS + 1
    for (let post = 0; post < posts; post += 1)
      await buffer.add({ visitors: [`ann ${post}`], postId: String(post), bucketStartMs: 0, timeMs: 0 })
    const rests: number[] = []
    const seen: boolean[] = []
    const options = { buffer, count, nonce }
    const flusher = createFlusher({
      ...options,
      async rest(afterMs) {
        rests.push(afterMs)
        seen.push(flusher.isBehind())
      },
    })
    t.match(await flusher.flush({ isBrief: true }), { batches: 1, views: MAX_BATCH_COUNTS, waiting: 4 })
    const hurried = createFlusher({ ...options, drainMs: 0 })
    await buffer.take('theirs')
    t.match(await hurried.flush(), { batches: 1, waiting: 3 }, 'no time, and one batch all the same')
    t.match(await flusher.flush(), { batches: 3, views: 2 * MAX_BATCH_COUNTS + 1, waiting: 0 })
    t.equal(rests.length, 1)
    t.same(seen, [true])
    t.equal(flusher.isBehind(), false)
    t.equal(total(), posts)
  },
)

t.test('a running flush ends after its present batch at the end of the process', async (t) => {
  const { buffer, count, nonce } = setUp()
  const add = async (from: number) => {
    for (let post = from; post < from + 3 * MAX_BATCH_COUNTS; post += 1)
      await buffer.add({ visitors: [`ann ${post}`], postId: String(post), bucketStartMs: 0, timeMs: 0 })
  }
  await add(0)
  const flusher = createFlusher({ buffer, count, nonce, rest: async () => flusher.end() })
  t.match(await flusher.flush(), { batches: 2, waiting: 1 })
  t.match(await flusher.flush(), { batches: 1, waiting: 0 })
})

t.test('a waiting brief flush becomes a whole one for a caller that needs that', async (t) => {
  const { buffer, count, nonce } = setUp()
  const { flush } = createFlusher({ buffer, count, nonce })
  const first = flush()
  const both = [flush({ isBrief: true }), flush()]
  t.equal(both[0], both[1])
  for (let post = 0; post <= MAX_BATCH_COUNTS; post += 1)
    await buffer.add({ visitors: [`ann ${post}`], postId: String(post), bucketStartMs: 0, timeMs: 0 })
  await first
  t.match(await both[0], { waiting: 0 })
})

t.test('a flush continues when another process takes a batch at the same time', async (t) => {
  const { buffer, count, nonce, view, total } = setUp()
  let isFirst = true
  const { flush } = createFlusher({
    count,
    nonce,
    buffer: {
      ...buffer,
      async take(id) {
        if (!isFirst) return buffer.take(id)
        isFirst = false
        return { made: [], ids: [], aside: [], left: 1 }
      },
    },
  })
  await view(1)
  t.match(await flush(), { batches: 1, waiting: 0 })
  t.equal(total(), 1)
})
