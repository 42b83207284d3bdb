import t from 'tap'
import { createSingleFlight } from '../../cache/single-flight.ts'
import { deferred } from '../helpers/virtual-clock.ts'

interface Result {
  name: string
  asOfMs: number
}

/** A single flight whose reads the test settles. */
function setUp({ maxStaleMs = 1000 } = {}) {
  const flights = createSingleFlight<Result>(maxStaleMs)
  const reads: ReturnType<typeof deferred<Result>>[] = []
  const come = (sinceMs: number, key = 'a') =>
    flights.joinOrStart(key, sinceMs, () => {
      const read = deferred<Result>()
      reads.push(read)
      return read.promise
    })
  return { flights, reads, come }
}

t.test('readers of one key join one read; another key has its own', async (t) => {
  const { reads, come } = setUp()
  const all = Promise.all([come(0), come(5), come(0, 'b')])
  t.equal(reads.length, 2)
  reads[0]?.resolve({ name: 'a', asOfMs: 1 })
  reads[1]?.resolve({ name: 'b', asOfMs: 1 })
  t.match(await all, [
    { result: { name: 'a' }, hasWaited: false },
    { result: { name: 'a' }, hasWaited: true },
    { result: { name: 'b' }, hasWaited: false },
  ])
  const later = come(10)
  t.equal(reads.length, 3, 'a read that has ended is not joined')
  reads[2]?.resolve({ name: 'later', asOfMs: 10 })
  t.match(await later, { hasWaited: false })
})

t.test('a rejection reaches all readers, and the next reader starts a read', async (t) => {
  const { reads, come } = setUp()
  const error = new Error('failed')
  const all = Promise.allSettled([come(0), come(0)])
  reads[0]?.reject(error)
  t.strictSame(await all, [
    { status: 'rejected', reason: error },
    { status: 'rejected', reason: error },
  ])
  const next = come(0)
  reads[1]?.resolve({ name: 'next', asOfMs: 0 })
  t.match(await next, { result: { name: 'next' } })
})

t.test(
  'a result that is older than the reader by maxStaleMs is not for this reader: it joins the next read',
  async (t) => {
    const { reads, come } = setUp({ maxStaleMs: 1000 })
    const early = come(0)
    const [inTime, tooLate, alsoTooLate] = [come(1099), come(1100), come(1200)]
    reads[0]?.resolve({ name: 'old', asOfMs: 100 })
    t.match(await early, { result: { name: 'old' } })
    t.match(await inTime, { result: { name: 'old' }, hasWaited: true })
    t.equal(reads.length, 2, 'both that came too late share one read')
    reads[1]?.resolve({ name: 'new', asOfMs: 1200 })
    t.match(await tooLate, { result: { name: 'new' } })
    t.match(await alsoTooLate, { result: { name: 'new' }, hasWaited: true })
  },
)

t.test('without copies a result serves only readers that came before its time', async (t) => {
  const { reads, come } = setUp({ maxStaleMs: 0 })
  const early = come(100)
  const [same, late] = [come(100), come(101)]
  reads[0]?.resolve({ name: 'old', asOfMs: 100 })
  t.match(await Promise.all([early, same]), [{ result: { name: 'old' } }, { result: { name: 'old' } }])
  reads[1]?.resolve({ name: 'new', asOfMs: 101 })
  t.match(await late, { result: { name: 'new' } })
})

t.test('after clear no read is joined, and the end of an old read leaves the new read in place', async (t) => {
  const { flights, reads, come } = setUp()
  const before = come(0)
  flights.clear()
  const after = come(0)
  t.equal(reads.length, 2)
  reads[0]?.resolve({ name: 'old', asOfMs: 0 })
  t.match(await before, { result: { name: 'old' } })
  const joining = come(0)
  t.equal(reads.length, 2, 'the new read is joined')
  reads[1]?.resolve({ name: 'new', asOfMs: 0 })
  t.match(await Promise.all([after, joining]), [
    { result: { name: 'new' }, hasWaited: false },
    { result: { name: 'new' }, hasWaited: true },
  ])
})
