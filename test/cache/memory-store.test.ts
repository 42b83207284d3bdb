import t from 'tap'
import { createMemoryStore } from '../../cache/memory-store.ts'
import { createNames, createVirtualClock } from '../helpers/virtual-clock.ts'
import { testStoreContract } from './store-contract.ts'

t.test('the memory store keeps the contract of stores', (t) =>
  testStoreContract(t, async () => {
    const clock = createVirtualClock()
    return { store: createMemoryStore({ clock, nonce: createNames() }), advance: clock.advance }
  }),
)

t.test('values are capped in number and in bytes, with their keys, the least recently used first', async (t) => {
  const clock = createVirtualClock()
  const store = createMemoryStore({ clock, nonce: createNames(), maxEntries: 3, maxBytes: 100 })
  const put = async (key: string, size: number) => {
    const acquired = await store.acquire(key, { token: key, leaseMs: 1000, force: true })
    if (acquired.state !== 'lease') throw new Error(acquired.state)
    await store.commit(key, acquired.lease, Buffer.alloc(size), { ttlMs: 1000, keepForMs: 1000 })
  }
  for (const key of ['a', 'b', 'c', 'd']) await put(key, 10)
  t.same(store.size(), { entries: 3, bytes: 33 })
  t.match(await store.acquire('a', { token: 'x', leaseMs: 1000 }), { state: 'lease' })
  await put('e', 88)
  t.same(store.size(), { entries: 2, bytes: 100 })
  await put('f', 101)
  t.ok(store.size().bytes <= 100, 'a value larger than all room is not kept')
})

t.test('a value that was not read again is dropped when another value is stored', async (t) => {
  const clock = createVirtualClock()
  const store = createMemoryStore({ clock, nonce: createNames() })
  const put = async (key: string, unreadForMs?: number) => {
    const acquired = await store.acquire(key, { token: key, leaseMs: 1000 })
    if (acquired.state !== 'lease') throw new Error(acquired.state)
    await store.commit(key, acquired.lease, Buffer.alloc(10), { ttlMs: 1000, keepForMs: 5000, unreadForMs })
  }
  await put('kept')
  for (let number = 0; number < 100; number += 1) await put(`once ${number}`, 200)
  t.ok(store.peek?.('once 7'))
  t.equal(store.size().entries, 101)
  await clock.advance(200)
  await put('next', 200)
  t.same(store.size(), { entries: 3, bytes: 44 })
  t.ok(store.peek?.('once 7'), 'this one was asked for again')
})
