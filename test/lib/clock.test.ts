import t from 'tap'
import { backgroundClock, systemClock } from '../../lib/clock.ts'
import { plural } from '../../lib/plural.ts'

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
    t.ok(clock.now() <= clock.now())
  }
})

t.test('plural writes a number with its noun', async (t) => {
  t.equal(plural(1, 'post'), '1 post')
  t.equal(plural(2000, 'post'), '2,000 posts')
  t.equal(plural(0, 'entry', 'entries'), '0 entries')
})
