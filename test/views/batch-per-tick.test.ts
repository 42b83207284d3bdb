import t from 'tap'
import { batchPerTick } from '../../views/batch-per-tick.ts'

t.test('calls of one tick form one batch, and each gets its own result', async (t) => {
  const calls: number[][] = []
  const ask = batchPerTick(async (numbers: number[]) => {
    calls.push(numbers)
    return numbers.map((number) => number * 10)
  }, 3)
  t.same(await Promise.all([1, 2].map(ask)), [10, 20])
  t.same(await Promise.all([3, 4, 5, 6, 7].map(ask)), [30, 40, 50, 60, 70], 'so many at most')
  t.same(await Promise.all([8, 9, 10].map(ask)), [80, 90, 100])
  t.same(calls, [
    [1, 2],
    [3, 4, 5],
    [6, 7],
    [8, 9, 10],
  ])
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(calls.length, 4, 'and nothing is asked when nobody asks')
})

t.test('a failing batch rejects all its calls, and the next batch runs', async (t) => {
  let isDown = true
  const ask = batchPerTick(async (numbers: number[]) => {
    if (isDown) throw new Error('down')
    return numbers
  }, 10)
  for (const one of await Promise.allSettled([ask(1), ask(2)])) t.match(one, { status: 'rejected', reason: /down/ })
  isDown = false
  t.equal(await ask(3), 3)
})
