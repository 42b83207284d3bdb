import t from 'tap'
import { createAllowance } from '../../lib/allowance.ts'

t.test('an allowance holds for a second', async (t) => {
  let nowMs = 5
  const isAllowed = createAllowance(() => nowMs, 2)
  const three = () => [isAllowed(), isAllowed(), isAllowed()]
  t.same(three(), [true, true, false])
  nowMs += 999
  t.equal(isAllowed(), false)
  nowMs += 1
  t.same(three(), [true, true, false])
  nowMs += 10_000
  t.same(three(), [true, true, false])
})
