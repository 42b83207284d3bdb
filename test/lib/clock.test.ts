import t from 'tap'
import { backgroundClock, systemClock } from '../../lib/clock.ts'

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
