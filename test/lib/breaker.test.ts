import t from 'tap'
import { createBreaker } from '../../lib/breaker.ts'
import { createVirtualClock } from '../helpers/virtual-clock.ts'

/** A breaker over a store that replies, or fails. */
function setUp({ backgroundWork }: { backgroundWork?: boolean } = {}) {
  const clock = createVirtualClock()
  const events: string[] = []
  let isUp = true
  const command = (name: string) => async () => {
    events.push(name)
    if (!isUp) throw new Error('ECONNREFUSED')
    return name
  }
  const breaker = createBreaker({
    clock,
    deadlineMs: 150,
    retryAfterMs: 1000,
    backgroundWork,
    probe: command('probe'),
    onReply: () => events.push('reply'),
    onOpen: () => events.push('open'),
    onClose: () => events.push('close'),
  })
  const run = (name = 'command') => breaker.runIfClosed(command(name))
  return {
    clock,
    breaker,
    run,
    events: () => events.splice(0).join(),
    set(up: boolean) {
      isUp = up
    },
  }
}

t.test('a failure opens the breaker: commands reject at once until a probe in the background succeeds', async (t) => {
  const { clock, breaker, run, events, set } = setUp()
  t.equal(await run(), 'command')
  t.equal(events(), 'command,reply')
  set(false)
  await t.rejects(run(), /ECONNREFUSED/)
  t.equal(breaker.isOpen(), true)
  await t.rejects(run(), /out of reach/)
  t.equal(events(), 'command,open')
  set(true)
  await clock.advance(1000)
  await t.rejects(run(), /out of reach/, 'the command does not wait for the probe')
  await clock.advance(0)
  t.equal(events(), 'probe,close,reply')
  t.equal(breaker.isOpen(), false)
  t.equal(await run(), 'command')
})

t.test('without background work the next command after retryAfterMs is the probe', async (t) => {
  const { clock, run, events, set } = setUp({ backgroundWork: false })
  set(false)
  await t.rejects(run(), /ECONNREFUSED/)
  await clock.advance(999)
  await t.rejects(run(), /out of reach/)
  set(true)
  await clock.advance(1)
  t.equal(await run('second'), 'second')
  t.equal(events(), 'command,open,second,close,reply')
})

t.test('probeNow probes an open breaker before retryAfterMs, and does nothing to a closed one', async (t) => {
  const { clock, breaker, run, events, set } = setUp()
  breaker.probeNow()
  t.equal(events(), '')
  set(false)
  await t.rejects(run(), /ECONNREFUSED/)
  set(true)
  breaker.probeNow()
  await clock.advance(0)
  t.equal(breaker.isOpen(), false)
  t.equal(events(), 'command,open,probe,close,reply')
})
