import t from 'tap'
import { createCounts } from '../../cache/events.ts'
import { createMemoryStore } from '../../cache/memory-store.ts'
import { createReadThroughCache } from '../../cache/read-through-cache.ts'
import type { Store } from '../../cache/store.ts'
import { createNames, createVirtualClock, deferred } from '../helpers/virtual-clock.ts'
import { policy } from './policy.ts'

/** Two processes over one store, which counts the reads of `reader`. The list has just expired. */
async function setUp() {
  const clock = createVirtualClock()
  const nonce = createNames()
  const store = createMemoryStore({ clock, nonce })
  const counts = createCounts()
  let asked = 0
  const createProcess = (acquire: Store['acquire']) =>
    createReadThroughCache({
      store: { ...store, acquire },
      clock,
      random: () => 0.5,
      nonce,
      policy,
      near: { maxStaleMs: 1000 },
      observe: counts.count,
    })
  const reader = createProcess((key, request) => {
    asked += 1
    return store.acquire(key, request)
  })
  const other = createProcess(store.acquire)
  await other.read('a', async () => Buffer.from('v1'))
  await clock.advance(10_000)
  const read = async () => {
    const answer = await reader.read('a', () => Promise.reject(new Error('must not load')))
    return `${Buffer.from(answer.value)} ${answer.outcome}`
  }
  return { clock, counts, reader, other, read, asked: () => asked }
}

t.test('during a refresh a process reads the list from the store four times a second, not once a read', async (t) => {
  const { clock, counts, other, read, asked } = await setUp()
  const loading = deferred<Uint8Array>()
  await other.read('a', () => loading.promise)
  for (let ms = 0; ms < 1000; ms += 10) {
    t.equal(await read(), 'v1 stale')
    await clock.advance(10)
  }
  t.equal(asked(), 4)
  t.match(counts.read(), { staleHits: 101, failSafeServed: 0 })
  loading.resolve(Buffer.from('v2'))
  await clock.advance(0)
  t.equal(await read(), 'v2 hit')
})

t.test('a message about a commit of another process ends the stale copy at once', async (t) => {
  const { clock, reader, other, read, asked } = await setUp()
  const loading = deferred<Uint8Array>()
  await other.read('a', () => loading.promise)
  t.equal(await read(), 'v1 stale')
  loading.resolve(Buffer.from('v2'))
  await clock.advance(0)
  t.equal(await read(), 'v1 stale', 'not heard yet')
  reader.onStoreMessage('committed b')
  t.equal(await read(), 'v1 stale', 'another list')
  reader.onStoreMessage('committed a')
  t.equal(await read(), 'v2 hit')
  t.equal(asked(), 2)
})

t.test('while loads fail, every read of the last good list emits an event', async (t) => {
  const { clock, counts, other, read, asked } = await setUp()
  await other.read('a', () => Promise.reject(new Error('down')))
  await clock.advance(0)
  for (const _read of [1, 2, 3]) t.equal(await read(), 'v1 stale')
  t.equal(asked(), 1)
  t.match(counts.read(), { loadsFailed: 1, staleHits: 4, failSafeServed: 4 })
})

t.test('a hard invalidation ends stale copies, too', async (t) => {
  const { clock, other, reader, read } = await setUp()
  const loading = deferred<Uint8Array>()
  await other.read('a', () => loading.promise)
  t.equal(await read(), 'v1 stale')
  await reader.invalidate('hard', { wait: false })
  const answer = reader.read('a', async () => Buffer.from('v2'))
  await clock.advance(0)
  t.match(await answer, { outcome: 'loaded' })
  loading.resolve(Buffer.from('v1'))
  await clock.advance(0)
  t.equal(await read(), 'v2 hit')
})
