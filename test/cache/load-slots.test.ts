import t from 'tap'
import { createLoadSlots, type Rank } from '../../cache/load-slots.ts'
import { createVirtualClock } from '../helpers/virtual-clock.ts'

const OPTIONS = { max: 4, maxWaiting: 3, patienceMs: 1_000, longestMs: 60_000 }

function setUp() {
  const clock = createVirtualClock()
  const takeSlot = createLoadSlots(clock, OPTIONS)
  const log: string[] = []
  const leaves = new Map<string, () => void>()
  const ask = async (name: string, rank: Rank) => {
    await takeSlot(rank).then(
      (leave) => {
        leaves.set(name, leave)
        log.push(name)
      },
      (error) => log.push(`${name} ${error.code}`),
    )
  }
  return {
    clock,
    /** Requests a slot. Resolves after all immediate effects. */
    async ask(name: string, rank: Rank) {
      void ask(name, rank)
      await clock.advance(0)
    },
    async leave(name: string) {
      leaves.get(name)?.()
      await clock.advance(0)
    },
    /** The events since the last call. */
    log: () => log.splice(0).join(', '),
  }
}

t.test('a load leaves as many slots free as its rank', async (t) => {
  const { ask, log } = setUp()
  for (const name of ['c1', 'c2', 'c3']) await ask(name, 2)
  t.equal(log(), 'c1, c2')
  for (const name of ['b1', 'b2']) await ask(name, 1)
  t.equal(log(), 'b1')
  for (const name of ['a1', 'a2']) await ask(name, 0)
  t.equal(log(), 'a1')
})

t.test('a released slot goes to the lowest rank first, and to each rank in turn', async (t) => {
  const { ask, leave, log } = setUp()
  for (const name of ['a1', 'a2', 'a3', 'a4']) await ask(name, 0)
  t.equal(log(), 'a1, a2, a3, a4')
  for (const [name, rank] of [
    ['c1', 2],
    ['b1', 1],
    ['b2', 1],
    ['a5', 0],
  ] as const)
    await ask(name, rank)
  await leave('a1')
  t.equal(log(), 'a5')
  await leave('a2')
  t.equal(log(), '', 'this one stays free for the lowest rank')
  await leave('a3')
  t.equal(log(), 'b1')
  await leave('a3')
  t.equal(log(), '', 'a slot is given back once')
  for (const name of ['a4', 'a5']) await leave(name)
  t.equal(log(), 'b2')
  await leave('b1')
  t.equal(log(), 'c1')
})

t.test('a load is refused when no slot is free in time, or the queue of its rank is full', async (t) => {
  const { ask, clock, leave, log } = setUp()
  for (const name of ['c1', 'c2']) await ask(name, 2)
  for (const name of ['c3', 'c4', 'c5', 'c6']) await ask(name, 2)
  t.equal(log(), 'c1, c2, c6 PP_TOO_MANY_LOADS')
  await ask('b1', 1)
  t.equal(log(), 'b1', 'another rank has a queue of its own')
  await clock.advance(999)
  await leave('c1')
  t.equal(log(), '')
  await leave('b1')
  t.equal(log(), 'c3')
  await clock.advance(1)
  t.equal(log(), 'c4 PP_TOO_MANY_LOADS, c5 PP_TOO_MANY_LOADS')
})

t.test('a load that never ends releases its slot after longestMs', async (t) => {
  const { ask, clock, log } = setUp()
  for (const name of ['c1', 'c2']) await ask(name, 2)
  await clock.advance(60_000)
  await ask('c3', 2)
  t.equal(log(), 'c1, c2, c3')
})
