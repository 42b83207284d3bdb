import t from 'tap'
import { createWindowKeeper } from '../../views/window-keeper.ts'

t.test(
  'sums are stored once a minute at most, by one call at a time; an error does not reach the caller',
  async (t) => {
    let nowMs = 0
    let calls = 0
    const keep = createWindowKeeper(
      async () => {
        calls += 1
        if (calls === 2) throw new Error('the database is away')
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
    t.equal(calls, 3, 'the next minute')
  },
)
