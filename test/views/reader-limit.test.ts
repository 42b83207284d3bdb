import t from 'tap'
import { createReaderLimit } from '../../views/reader-limit.ts'

const place = (network: string, address = 'a') => ({ network, address, maxOfNetwork: 2, maxOfAddress: 1 })

t.test('a network has its readers in each window, which begins with the first of them', async (t) => {
  const isAdmitted = createReaderLimit({ windowMs: 1_000, maxNetworks: 10 })
  t.equal(isAdmitted(place('x'), 5_000), true)
  t.equal(isAdmitted(place('x'), 5_500), false, 'the address')
  t.equal(isAdmitted(place('x', 'b'), 5_600), true)
  t.equal(isAdmitted(place('x', 'c'), 5_700), false, 'the network')
  t.equal(isAdmitted(place('x', 'c'), 5_999), false)
  t.equal(isAdmitted(place('x', 'c'), 6_000), true, 'the next window')
  t.equal(isAdmitted(place('x', 'c'), 6_900), false)
  t.equal(isAdmitted(place('x', 'c'), 4_000), true, 'the clock went back by a window and more')
})

t.test('old windows are removed, and the oldest if there are too many', async (t) => {
  const isAdmitted = createReaderLimit({ windowMs: 1_000, maxNetworks: 2 })
  for (const network of ['x', 'y', 'z']) t.equal(isAdmitted(place(network), 0), true)
  t.equal(isAdmitted(place('y'), 0), false)
  t.equal(isAdmitted(place('z'), 0), false)
  t.equal(isAdmitted(place('x'), 0), true, 'the oldest was removed')
  t.equal(isAdmitted(place('w'), 2_000), true)
})
