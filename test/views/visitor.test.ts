import t from 'tap'
import { daysOfView, pseudonym } from '../../views/visitor.ts'

t.test('a pseudonym depends only on visitor, post and day', async (t) => {
  const salt = Buffer.alloc(32, 1)
  const ann = { address: '203.0.113.9', userAgent: 'Firefox' }
  const name = pseudonym(ann, '1', salt)
  t.match(name, /^[\w-]{22}$/)
  t.equal(pseudonym({ ...ann, address: '::ffff:203.0.113.9' }, '1', salt), name)
  const others = [
    pseudonym(ann, '2', salt),
    pseudonym(ann, '1', Buffer.alloc(32, 2)),
    pseudonym({ ...ann, address: '203.0.113.8' }, '1', salt),
    pseudonym({ ...ann, userAgent: 'Safari' }, '1', salt),
    pseudonym({ ...ann, userId: '7' }, '1', salt),
  ]
  t.equal(new Set([name, ...others]).size, 6)
  t.equal(
    pseudonym({ ...ann, userId: '7' }, '1', salt),
    pseudonym({ address: '2001:db8::1', userAgent: 'Safari', userId: '7' }, '1', salt),
    'a user is the same on every device',
  )
})

t.test('early in a day the day before is checked for a repeat, late in a day the next day', async (t) => {
  const midnightMs = Date.parse('2026-03-01T00:00:00Z')
  const days = (timeMs: number, dedupSeconds = 900) => daysOfView(midnightMs + timeMs, dedupSeconds)
  t.same(days(-900_001), ['2026-02-28'])
  t.same(days(-900_000), ['2026-02-28', '2026-03-01'])
  t.same(days(-1), ['2026-02-28', '2026-03-01'])
  t.same(days(0), ['2026-03-01', '2026-02-28'])
  t.same(days(899_999), ['2026-03-01', '2026-02-28'])
  t.same(days(900_000), ['2026-03-01'])
  t.same(days(1, 86_400), ['2026-03-01', '2026-02-28', '2026-03-02'])
})
