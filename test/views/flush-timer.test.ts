import t from 'tap'
import { startFlushTimer } from '../../views/flush-timer.ts'
import { until } from '../helpers/services/until.ts'

function setUp(t: { teardown(end: () => void): unknown }, pruneMs: number) {
  const done = { flushes: 0, prunes: 0 }
  const state = { waiting: 0, hasMore: false, isDown: false }
  const stop = startFlushTimer({
    async flush() {
      done.flushes += 1
      if (state.isDown) throw new Error('ECONNREFUSED')
      return { batches: 0, views: 0, waiting: state.waiting, aside: 0 }
    },
    async prune() {
      done.prunes += 1
      return { hours: 0, days: 0, batches: 0, changes: 0, hasMore: state.hasMore }
    },
    flushMs: 1,
    pruneMs,
    random: () => 0,
  })
  t.teardown(stop)
  return { done, state, stop }
}

t.test('flushes continue after errors, and stop with the timer', async (t) => {
  const { done, state, stop } = setUp(t, 3_600_000)
  await until(() => done.flushes > 3, 'it flushes')
  state.isDown = true
  const before = done.flushes
  await until(() => done.flushes > before + 3, 'it tries again')
  stop()
  const after = done.flushes
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(done.flushes, after)
  t.equal(done.prunes, 1, 'once in the time')
})

t.test('deletion of old counters continues at once while rows are left, and pauses while a batch waits', async (t) => {
  const { done, state } = setUp(t, 3_600_000)
  state.hasMore = true
  await until(() => done.prunes > 3, 'it prunes on')
  state.waiting = 1
  await until(() => done.flushes > 10, 'it flushes')
  const before = [done.flushes, done.prunes]
  await until(() => done.flushes > (before[0] ?? 0) + 5, 'it flushes on')
  t.ok(done.prunes - (before[1] ?? 0) <= 1, 'one may have been under way')
})
