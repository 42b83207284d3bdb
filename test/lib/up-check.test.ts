import t from 'tap'
import { createUpCheck } from '../../lib/up-check.ts'
import { createVirtualClock, deferred } from '../helpers/virtual-clock.ts'

t.test('calls share one check and its result for a second; a check that hangs stays the only one', async (t) => {
  const clock = createVirtualClock()
  const checks: ReturnType<typeof deferred<void>>[] = []
  const isUp = createUpCheck(() => {
    const check = deferred<void>()
    checks.push(check)
    return check.promise
  }, clock)
  const both = Promise.all([isUp(), isUp()])
  t.equal(checks.length, 1)
  checks[0]?.resolve()
  t.strictSame(await both, [true, true])
  await clock.advance(999)
  t.equal(await isUp(), true)
  t.equal(checks.length, 1, 'the result is a second old at most')
  await clock.advance(1)
  const hanging = isUp()
  t.equal(checks.length, 2)
  await clock.advance(1000)
  t.equal(await hanging, false)
  t.equal(await isUp(), false)
  t.equal(checks.length, 2, 'no further check before the old one ends')
  checks[1]?.reject(new Error('ECONNREFUSED'))
  await clock.advance(0)
  const next = isUp()
  checks[2]?.reject(new Error('ECONNREFUSED'))
  t.equal(await next, false)
  t.equal(checks.length, 3)
})
