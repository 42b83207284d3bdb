import t from 'tap'
import { createMemoryStore } from '../../cache/memory-store.ts'
import { createNearCache } from '../../cache/near-cache.ts'
import { backgroundClock, type Clock, createNow, systemClock } from '../../lib/clock.ts'

t.test('a timer runs once, and a cancelled one never', async (t) => {
  for (const clock of [systemClock, backgroundClock]) {
    const ran: string[] = []
    const cancel = clock.schedule(1, () => ran.push('cancelled'))
    await new Promise<void>((resolve) => {
      // A background timer does not keep the process alive: another timer does, until it has run.
      systemClock.schedule(20, resolve)
      clock.schedule(5, () => ran.push('ran'))
      cancel()
    })
    t.strictSame(ran, ['ran'])
    const before = clock.now()
    t.ok(clock.now() >= before)
  }
})

t.test(
  'the time includes suspensions, in which only the date goes on; a date that goes back has no effect',
  async (t) => {
    const time = { monotonicMs: 1_000, wallMs: 1_700_000_000_000 }
    const now = createNow({ monotonic: () => time.monotonicMs, wall: () => time.wallMs })
    const pass = (monotonicMs: number, wallMs: number) => {
      time.monotonicMs += monotonicMs
      time.wallMs += wallMs
      return now()
    }
    let last = now()
    /** By how much the clock goes on. */
    const advance = (monotonicMs: number, wallMs: number) => {
      const before = last
      last = pass(monotonicMs, wallMs)
      return Math.round(last - before)
    }
    t.equal(advance(500, 500), 500)
    t.equal(advance(5, 3_600_005), 3_600_005, 'suspended for an hour')
    t.equal(advance(250, 250), 250)
    t.equal(advance(20, -3_600_000), 20, 'the date is set back')
    t.equal(advance(5, 900_005), 900_005, 'suspended after that')
    let sum = 0
    for (let call = 0; call < 1_000; call += 1) sum += advance(1, call % 2 === 0 ? 2 : 0)
    t.equal(sum, 1_000, 'the rounding of the date does not add up')
  },
)

t.test('a copy from before a suspension is not served as fresh after it', async (t) => {
  const time = { monotonicMs: 0, wallMs: 0 }
  const clock: Clock = {
    now: createNow({ monotonic: () => time.monotonicMs, wall: () => time.wallMs }),
    schedule: () => () => {},
  }
  const near = createNearCache({ clock, generation: async () => 'new', maxStaleMs: 1_000, backgroundWork: false })
  const store = createMemoryStore({ clock, nonce: () => 'n' })
  const granted = await store.acquire('a', { token: 'n', leaseMs: 3_000 })
  if (granted.state === 'lease')
    await store.commit('a', granted.lease, Buffer.from('v'), { ttlMs: 60_000, keepForMs: 60_000 })
  near.verified('old', clock.now())
  near.put('a', { value: Buffer.from('v'), ageMs: 0, ttlMs: 60_000 }, 'old', clock.now())
  time.monotonicMs += 10
  time.wallMs += 10
  t.ok(near.find('a'))
  t.ok(store.peek?.('a'))
  time.wallMs += 120_000
  t.equal(near.find('a'), undefined)
  t.equal(store.peek?.('a'), undefined)
})
