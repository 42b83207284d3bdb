import t from 'tap'
import { createWindowKeeper } from '../../views/window-keeper.ts'

t.test(
  'sums are stored by one call at a time, once a minute when all are stored; an error does not reach the caller',
  async (t) => {
    let nowMs = 0
    let calls = 0
    const keep = createWindowKeeper(
      async () => {
        calls += 1
        if (calls === 2) throw new Error('the database is away')
        return calls !== 3
      },
      () => nowMs,
    )
    await Promise.all([keep(), keep()])
    t.equal(calls, 1, 'at the same time')
    nowMs = 59_000
    await keep()
    t.equal(calls, 1, 'in the same minute')
    nowMs = 60_000
    await keep()
    t.equal(calls, 2, 'fails')
    nowMs = 120_000
    await keep()
    t.equal(calls, 3, 'the next minute; some sums are still missing')
    await keep()
    t.equal(calls, 4, 'at once')
    await keep()
    t.equal(calls, 4, 'all are stored')
  },
)

t.test('a call stores for ten seconds', async (t) => {
  let nowMs = 5_000
  const over: boolean[] = []
  const keep = createWindowKeeper(
    async (isOver) => {
      for (const atMs of [5_000, 14_999, 15_000]) {
        nowMs = atMs
        over.push(isOver())
      }
      return true
    },
    () => nowMs,
  )
  await keep()
  t.same(over, [false, false, true])
})

t.test('where the user may not write, a call tries again after ten minutes', async (t) => {
  for (const code of ['42501', '25006']) {
    let nowMs = 0
    let calls = 0
    const keep = createWindowKeeper(
      async () => {
        calls += 1
        throw Object.assign(new Error('refused'), { code })
      },
      () => nowMs,
    )
    for (const atMs of [0, 60_000, 599_999]) {
      nowMs = atMs
      await keep()
    }
    t.equal(calls, 1, code)
    nowMs = 600_000
    await keep()
    t.equal(calls, 2, code)
  }
})
