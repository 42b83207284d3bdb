import t from 'tap'
import { createNearCache } from '../../cache/near-cache.ts'
import { createVirtualClock, deferred } from '../helpers/virtual-clock.ts'

const stored = (text: string, ttlMs = 60_000) => ({ value: Buffer.from(text), ageMs: 0, ttlMs })

/** A near cache over a store whose replies the test sends. */
function setUp({ maxEntries = 500, maxBytes = 1000, looksAhead = false } = {}) {
  const clock = createVirtualClock()
  const looks: ReturnType<typeof deferred<string | undefined>>[] = []
  const generation = () => {
    const look = deferred<string | undefined>()
    looks.push(look)
    return look.promise
  }
  const near = createNearCache({
    clock,
    generation,
    maxStaleMs: 1000,
    backgroundWork: looksAhead,
    maxEntries,
    maxBytes,
  })
  const text = (key: string) => {
    const found = near.find(key)
    return found && Buffer.from(found.value).toString()
  }
  /** Stores the copy of a hit at the present time. */
  const keep = (key: string, value = stored(key), generation = 'g1', askedAtMs = clock.now()) => {
    near.put(key, value, generation, askedAtMs)
    near.verified(generation, askedAtMs)
  }
  return { clock, near, looks, text, keep }
}

t.test('a copy is served until maxStaleMs after the last request to the store, whenever the reply came', async (t) => {
  const { clock, text, keep } = setUp()
  const askedAtMs = clock.now()
  await clock.advance(400)
  keep('a', stored('a'), 'g1', askedAtMs)
  t.equal(text('a'), 'a')
  await clock.advance(599)
  t.equal(text('a'), 'a')
  await clock.advance(1)
  t.equal(text('a'), undefined)
  t.equal(text('b'), undefined, 'never copied')
})

t.test('a copy is served no longer than its time to live, counted from the request', async (t) => {
  const { clock, near, text, keep } = setUp()
  const askedAtMs = clock.now()
  await clock.advance(100)
  keep('a', { value: Buffer.from('a'), ageMs: 50, ttlMs: 300 }, 'g1', askedAtMs)
  t.match(near.find('a'), { ageMs: 150, ttlMs: 200 })
  await clock.advance(199)
  t.equal(text('a'), 'a')
  await clock.advance(1)
  t.equal(text('a'), undefined)
})

t.test('one request for the generation, shared by all readers, verifies every copy', async (t) => {
  const { clock, near, looks, text, keep } = setUp()
  keep('a')
  keep('b')
  await near.verify('a')
  t.equal(looks.length, 0, 'no look while it is confirmed')
  await clock.advance(1000)
  await near.verify('c')
  t.equal(looks.length, 0, 'nor for what there is no copy of')
  const all = Promise.all([near.verify('a'), near.verify('a'), near.verify('b')])
  t.equal(looks.length, 1)
  await clock.advance(300)
  looks[0]?.resolve('g1')
  await all
  t.equal(text('a'), 'a')
  t.equal(text('b'), 'b')
  await clock.advance(700)
  t.equal(text('a'), undefined, 'counted from the question')
  const again = near.verify('a')
  t.equal(looks.length, 2)
  looks[1]?.resolve('g2')
  await again
  t.equal(text('a'), undefined, 'of a generation that has ended')
})

t.test(
  'a verification that fails, or finds no generation: no copy is served, and the next read verifies again',
  async (t) => {
    const { clock, near, looks, text, keep } = setUp()
    keep('a')
    await clock.advance(1000)
    const failing = near.verify('a')
    looks[0]?.reject(new Error('out of reach'))
    await failing
    t.equal(text('a'), undefined)
    const lost = near.verify('a')
    looks[1]?.resolve(undefined)
    await lost
    t.equal(text('a'), undefined)
    await clock.advance(1000)
    const third = near.verify('a')
    looks[2]?.resolve('g1')
    await third
    t.equal(text('a'), 'a')
  },
)

t.test('a reply to an older request does not replace a newer one', async (t) => {
  const { clock, near, text, keep } = setUp()
  const askedAtMs = clock.now()
  await clock.advance(10)
  keep('a', stored('new'), 'g2')
  near.verified('g1', askedAtMs)
  t.equal(text('a'), 'new')
  near.put('b', stored('old'), 'g1', askedAtMs)
  t.equal(text('b'), undefined)
})

t.test(
  'markUnverified: no copy is served before a new request to the store; replies to older requests do not count',
  async (t) => {
    const { clock, near, looks, text, keep } = setUp()
    keep('a')
    const askedAtMs = clock.now()
    const early = near.verify('a')
    await early
    await clock.advance(5)
    near.markUnverified()
    t.equal(text('a'), undefined)
    near.verified('g1', askedAtMs)
    t.equal(text('a'), undefined, 'it was answered before the doubt')
    await clock.advance(1)
    const look = near.verify('a')
    looks[0]?.resolve('g1')
    await look
    t.equal(text('a'), 'a')
  },
)

t.test('a verification from before markUnverified is not joined after it', async (t) => {
  const { clock, near, looks, text, keep } = setUp()
  keep('a')
  await clock.advance(1000)
  const early = near.verify('a')
  await clock.advance(1)
  near.markUnverified()
  await clock.advance(1)
  const late = near.verify('a')
  t.equal(looks.length, 2)
  looks[0]?.resolve('g1')
  await early
  t.equal(text('a'), undefined)
  looks[1]?.resolve('g2')
  await late
  keep('a', stored('new'), 'g2')
  t.equal(text('a'), 'new')
})

t.test(
  'with background work the generation is verified ahead while copies are served, and no read waits',
  async (t) => {
    const { clock, looks, text, keep } = setUp({ looksAhead: true })
    keep('a')
    await clock.advance(499)
    t.equal(text('a'), 'a')
    t.equal(looks.length, 0, 'not before half of the time has passed')
    await clock.advance(1)
    for (const _read of [1, 2]) t.equal(text('a'), 'a')
    t.equal(looks.length, 1)
    await clock.advance(100)
    looks[0]?.resolve('g1')
    await clock.advance(899)
    t.equal(text('a'), 'a', 'good again, counted from the question')
    t.equal(looks.length, 2)
    looks[1]?.reject(new Error('out of reach'))
    await clock.advance(0)
    t.equal(text('a'), 'a')
    t.equal(looks.length, 2, 'not again before the store was asked otherwise')
    await clock.advance(1)
    t.equal(text('a'), undefined)
  },
)

t.test('a verification in advance that finds another generation ends all copies', async (t) => {
  const { clock, looks, text, keep } = setUp({ looksAhead: true })
  keep('a')
  await clock.advance(500)
  t.equal(text('a'), 'a')
  looks[0]?.resolve('g2')
  await clock.advance(0)
  t.equal(text('a'), undefined)
})

t.test('a stale copy is served for its time, or until dropStale, and only in its generation', async (t) => {
  const { clock, near } = setUp()
  const hold = (isFailSafe = false, generation = 'g1') => {
    near.put('a', stored('a', -50), generation, clock.now(), { forMs: 250, isFailSafe })
    near.verified('g1', clock.now())
  }
  hold()
  t.match(near.find('a'), { ttlMs: -50 }, 'it is not fresh')
  await clock.advance(249)
  t.match(near.find('a'), { ageMs: 249, ttlMs: -299, isFailSafe: false })
  await clock.advance(1)
  t.equal(near.find('a'), undefined)
  hold(true)
  t.match(near.find('a'), { isFailSafe: true })
  near.dropStale('a')
  near.dropStale('b')
  t.equal(near.find('a'), undefined)
  hold(false, 'g0')
  t.equal(near.find('a'), undefined, 'of a generation that has ended')
  hold()
  near.markUnverified()
  t.equal(near.find('a'), undefined)
})

t.test('a fresh copy is not replaced by a stale one whose reply came later', async (t) => {
  const { clock, near, text, keep } = setUp()
  const askedAtMs = clock.now()
  await clock.advance(10)
  keep('a', stored('new'))
  near.put('a', stored('old', -50), 'g1', askedAtMs, { forMs: 250, isFailSafe: false })
  t.equal(text('a'), 'new')
  t.strictSame(near.find('a'), { ...stored('new'), ageMs: 0 })
})

t.test('equal bytes keep their object, so that caches keyed by it stay valid', async (t) => {
  const { near, keep } = setUp()
  const first = Buffer.from('list')
  keep('a', { ...stored('list'), value: first })
  keep('a', stored('list'))
  t.equal(near.find('a')?.value, first)
  keep('a', stored('another'))
  t.not(near.find('a')?.value, first)
})

t.test('copies are capped in number and bytes, with their keys, and cleared', async (t) => {
  const { near, text, keep } = setUp({ maxEntries: 2, maxBytes: 12 })
  for (const key of ['a', 'b', 'c']) keep(key)
  t.strictSame(['a', 'b', 'c'].map(text), [undefined, 'b', 'c'])
  keep('d', stored('123456789'))
  t.strictSame(['b', 'c', 'd'].map(text), [undefined, 'c', '123456789'])
  keep('e', stored('123456789012'))
  t.equal(text('e'), undefined, 'larger than all room')
  keep('f', stored(''))
  t.equal(text('f'), '')
  near.clear()
  t.equal(text('f'), undefined)
})

t.test('without options a near cache has the default limits', async (t) => {
  const clock = createVirtualClock()
  const near = createNearCache({ clock, generation: async () => 'g1', maxStaleMs: 1000, backgroundWork: true })
  near.put('a', stored('a'), 'g1', clock.now())
  t.equal(near.find('a'), undefined, 'the generation is not known yet')
  await near.verify('a')
  t.match(near.find('a'), { ageMs: 0 })
})
