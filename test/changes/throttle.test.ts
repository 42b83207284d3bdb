import t from 'tap'
import { createMemoryStore } from '../../cache/memory-store.ts'
import type { ChangeMode } from '../../changes/revision.ts'
import { createChangeThrottle } from '../../changes/throttle.ts'
import { createNames, createVirtualClock } from '../helpers/virtual-clock.ts'

function createFleet() {
  const clock = createVirtualClock()
  return { clock, store: createMemoryStore({ clock, nonce: createNames() }) }
}

function setUp({ clock, store } = createFleet()) {
  const applied: string[] = []
  let asked = 0
  let isDown = false
  const failures: unknown[] = []
  const throttle = createChangeThrottle({
    clock,
    async apply(mode, change) {
      asked += 1
      if (isDown) throw new Error('down')
      const result = await store.invalidateForChange(mode, change)
      if (result.state === 'ended') applied.push(`${clock.now()} ${mode} ${change.cause}`)
      return result
    },
    onFailure: (error) => failures.push(error),
  })
  return {
    clock,
    store,
    applied,
    asked: () => asked,
    throttle,
    failures,
    notice: (mode: ChangeMode, name: string | undefined) => throttle.add({ mode, name, isNotification: true }),
    compared: (mode: ChangeMode, name: string | undefined) => throttle.add({ mode, name, isNotification: false }),
    setDown: (value: boolean) => {
      isDown = value
    },
  }
}

t.test('the first soft change is applied at once, those of the next five seconds are merged', async (t) => {
  const { clock, applied, notice } = setUp()
  for (let count = 1; count <= 1000; count += 1) {
    notice('soft', `c${count}`)
    await clock.advance(7)
  }
  await clock.advance(60_000)
  t.strictSame(applied, ['0 soft c1', '5000 soft c715', '10000 soft c1000'])
  notice('soft', 'next')
  await clock.advance(0)
  t.equal(applied.at(-1), '67000 soft next', 'after a quiet time, at once again')
})

t.test('a hard change pauses hard changes for one second and soft changes for five', async (t) => {
  const { clock, applied, notice } = setUp()
  notice('soft', 's1')
  await clock.advance(100)
  notice('soft', 's2')
  notice('hard', 'h1')
  notice('soft', 's3')
  await clock.advance(1)
  t.strictSame(applied, ['0 soft s1', '100 hard s3'], 'the soft ones are in it')
  notice('hard', 'h2')
  notice('hard', 'h3')
  await clock.advance(1000)
  t.equal(applied.at(-1), '1100 hard h3')
  notice('soft', 's4')
  await clock.advance(60_000)
  t.strictSame(applied.slice(3), ['6100 soft s4'])
})

t.test('notifications of one transaction are merged', async (t) => {
  const { clock, applied, notice } = setUp()
  notice('soft', 's')
  notice('hard', 'h')
  await clock.advance(10_000)
  t.strictSame(applied, ['0 hard h'])
})

t.test('merged changes without an order have no name', async (t) => {
  for (const [first, second] of [
    [true, false],
    [false, true],
    [false, false],
  ] as const) {
    const { clock, applied, throttle } = setUp()
    throttle.add({ mode: 'hard', name: 'a', isNotification: first })
    throttle.add({ mode: 'soft', name: 'b', isNotification: second })
    throttle.add({ mode: 'soft', name: 'c', isNotification: true })
    await clock.advance(0)
    t.strictSame(applied, ['0 hard undefined'])
  }
  const { clock, applied, compared } = setUp()
  compared('soft', 'a')
  await clock.advance(0)
  t.strictSame(applied, ['0 soft a'], 'alone, it has')
})

t.test('a change whose application failed is retried, merged with later changes', async (t) => {
  const { clock, applied, notice, failures, setDown } = setUp()
  setDown(true)
  notice('hard', 'h1')
  await clock.advance(2500)
  t.equal(failures.length, 1, 'once for a series of failures')
  notice('soft', 's1')
  setDown(false)
  await clock.advance(10_000)
  t.strictSame(applied, ['3000 hard s1'])
  setDown(true)
  notice('soft', 's2')
  await clock.advance(0)
  t.equal(failures.length, 2)
})

t.test('a change that arrives while another one fails is merged with it', async (t) => {
  const clock = createVirtualClock()
  const applied: string[] = []
  const throttle = createChangeThrottle({
    clock,
    async apply(mode, { cause }) {
      applied.push(`${clock.now()} ${mode} ${cause}`)
      if (applied.length > 1) return { state: 'ended', pauseMs: 1000, ends: 1 }
      throttle.add({ mode: 'soft', name: 'b', isNotification: true })
      throw new Error('down')
    },
    onFailure: () => {},
  })
  throttle.add({ mode: 'hard', name: 'a', isNotification: true })
  await clock.advance(10_000)
  t.strictSame(applied, ['0 hard a', '1000 hard b'])
})

t.test('closing waits for a running application, and drops pending changes', async (t) => {
  const { clock, applied, throttle, notice } = setUp()
  notice('soft', 'a')
  await clock.advance(0)
  notice('soft', 'b')
  await throttle.close()
  notice('soft', 'c')
  await clock.advance(10_000)
  t.strictSame(applied, ['0 soft a'])
})

t.test('eight processes apply the changes of a storm at the pace of one, and none is lost', async (t) => {
  const fleet = createFleet()
  const { clock, store } = fleet
  const all = Array.from({ length: 8 }, () => setUp(fleet))
  for (let count = 1; count <= 100; count += 1) {
    // They hear of a change one after another, and some of the later ones only after the pause has ended.
    for (const { notice } of all) {
      notice('hard', `c${count}`)
      await clock.advance(3)
    }
    await clock.advance(26)
  }
  await clock.advance(10_000)
  const timeOf = (line: string) => Number(line.split(' ')[0])
  const applied = all.flatMap((one) => one.applied).sort((a, b) => timeOf(a) - timeOf(b))
  const times = applied.map(timeOf)
  for (const [index, atMs] of times.entries()) t.ok(atMs - (times[index - 1] ?? -1000) >= 1000, `at ${atMs} ms`)
  t.match(applied.at(-1), / hard c100$/, 'the last one is the last')
  t.ok(applied.length <= 7, `${applied.length} in five seconds`)
  // At most three calls a pause, of each process.
  for (const { asked } of all) t.ok(asked() <= 3 * 7, `${asked()} calls`)
  t.equal(await store.invalidate('hard', 'c100'), false, 'and all know it')
})

t.test('a pause is as long as slow loads need; changes that were found by comparing are applied once', async (t) => {
  const fleet = createFleet()
  const { clock, store } = fleet
  const [first, second, third] = [setUp(fleet), setUp(fleet), setUp(fleet)]
  const acquired = await store.acquire('a', { token: 'a', leaseMs: 5000 })
  if (acquired.state !== 'lease') throw new Error(acquired.state)
  await store.commit('a', acquired.lease, Buffer.from('1'), { ttlMs: 1000, keepForMs: 1000, loadedInMs: 2000 })
  const everybody = [first, second, third]
  first.notice('hard', 'h1')
  await clock.advance(10)
  for (const { compared } of everybody) compared('hard', undefined)
  await clock.advance(4980)
  t.strictSame(
    everybody.map(({ applied }) => applied),
    [['0 hard h1'], [], []],
  )
  third.compared('hard', 'late')
  await clock.advance(20)
  t.strictSame(
    everybody.map(({ applied }) => applied),
    [['0 hard h1', '5000 hard undefined'], [], []],
  )
  await clock.advance(60_000)
  t.strictSame(
    everybody.map(({ applied }) => applied),
    [['0 hard h1', '5000 hard undefined'], [], ['10000 hard undefined']],
    'the second knows that its change is in what the first has applied; the third cannot know it of the late one',
  )
})
