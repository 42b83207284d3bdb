import fc from 'fast-check'
import t from 'tap'
import type { LoggedRequest } from '../../../bin/import-log/formats/request.ts'
import { createVisits } from '../../../bin/import-log/visits.ts'
import { POST } from '../../helpers/access-log.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
const REQUEST: LoggedRequest = {
  address: '1.2.3.4',
  timeMs: 1_000_000_000_000,
  method: 'GET',
  target: '/a',
  status: 200,
  referer: undefined,
  userAgent: FIREFOX,
}

function judgeAll(requests: Partial<LoggedRequest>[], dedupSeconds = 900) {
  const visits = createVisits({ dedupSeconds })
  return requests.map((request) => visits.judge({ ...REQUEST, ...request }).kind)
}

t.test('a view is a GET of a post by a person, with status 200 or 304', async (t) => {
  const cases: [Partial<LoggedRequest>, string][] = [
    [{}, 'view'],
    [{ status: 304 }, 'view'],
    [{ userAgent: undefined }, 'view'],
    [{ method: 'HEAD' }, 'other'],
    [{ method: 'POST' }, 'other'],
    [{ method: 'get' }, 'other'],
    [{ method: '', target: '' }, 'other'],
    [{ status: 206 }, 'other'],
    [{ status: 301 }, 'other'],
    [{ status: 404 }, 'other'],
    [{ target: '/' }, 'other'],
    [{ userAgent: '' }, 'bot'],
    [{ userAgent: 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)' }, 'bot'],
    [{ userAgent: 'curl/8.0' }, 'bot'],
    [{ userAgent: 'Googlebot', status: 404 }, 'other'],
  ]
  for (const [request, kind] of cases) t.strictSame(judgeAll([request]), [kind], JSON.stringify(request))
})

t.test('only the first 512 characters of a user agent are read', async (t) => {
  const long = FIREFOX.padEnd(512, ' rv')
  t.strictSame(
    judgeAll([`${long} Googlebot`, `${long}x`, `${long.slice(0, 511)}x`].map((userAgent) => ({ userAgent }))),
    [...['view', 'repeat', 'view']],
  )
})

t.test('a visitor is the same in each notation of an address', async (t) => {
  const notations = {
    IPv4: ['198.51.100.9', '198.51.100.9:4711', '[::ffff:198.51.100.9]:80', '198.51.100.9,', '"198.51.100.9:1,'],
    IPv6: ['2001:db8::9', '[2001:db8::9]', '[2001:db8::a]:443', '2001:DB8:0:0:1:2:3:4:443'],
    host: ['client.example', 'Client.Example', 'client.example:4711'],
  }
  for (const [name, addresses] of Object.entries(notations)) {
    const kinds = judgeAll(addresses.map((address) => ({ address })))
    t.strictSame(kinds, ['view', ...addresses.slice(1).map(() => 'repeat')], name)
  }
})

t.test('a view has its post and its path', async (t) => {
  const visits = createVisits({ dedupSeconds: 900, post: POST })
  t.strictSame(visits.judge({ ...REQUEST, target: '/blog/a%20b?c' }), { kind: 'view', slug: 'a b', path: '/blog/a b' })
  t.strictSame(visits.judge({ ...REQUEST, target: '/a' }), { kind: 'other' })
})

t.test('a visitor counts again 900 seconds after the view that counted, not after the last request', async (t) => {
  const at = (seconds: number) => ({ timeMs: REQUEST.timeMs + seconds * 1000 })
  t.strictSame(judgeAll([at(0), at(0), at(899), at(900), at(1799), at(1800)]), [
    ...['view', 'repeat', 'repeat', 'view', 'repeat', 'view'],
  ])
  t.strictSame(judgeAll([at(0), at(-1), at(-899), at(-900)]), ['view', 'repeat', 'repeat', 'view'], 'out of order')
  t.strictSame(judgeAll([at(0), at(0), at(1)], 0), ['view', 'view', 'view'], 'no window')
})

t.test('every notation of an address is one visitor, and an IPv6 visitor is a network', async (t) => {
  const addresses = ['2001:db8::1', '2001:DB8:0:0::2', '1.2.3.4', '::ffff:1.2.3.4', 'host.example', '2001:db8:0:1::1']
  t.strictSame(judgeAll(addresses.map((address) => ({ address }))), [
    ...['view', 'repeat', 'view', 'repeat', 'view', 'view'],
  ])
})

t.test('a visitor is an address and a user agent, and counts once for each post', async (t) => {
  const others: Partial<LoggedRequest>[] = [
    { address: '1.2.3.5' },
    { userAgent: `${FIREFOX} ` },
    { userAgent: undefined },
    { target: '/b' },
    { target: `/a${FIREFOX.slice(0, 1)}`, userAgent: FIREFOX.slice(1) },
  ]
  for (const other of others) t.strictSame(judgeAll([{}, other, {}, other]), ['view', 'view', 'repeat', 'repeat'])
  t.strictSame(judgeAll([{}, { target: '/x/a.html?q' }]), ['view', 'repeat'], 'the same slug by another path')
})

t.test('decisions equal those of brute force, for lines up to a window late', async (t) => {
  const request = fc.record({
    address: fc.constantFrom('1.1.1.1', '2.2.2.2'),
    target: fc.constantFrom('/a', '/b'),
    stepSeconds: fc.integer({ min: 0, max: 600 }),
    lateSeconds: fc.integer({ min: 0, max: 900 }),
  })
  fc.assert(
    fc.property(fc.array(request, { maxLength: 200 }), fc.boolean(), (steps, isOrdered) => {
      let newestMs = REQUEST.timeMs
      const requests = steps.map(({ address, target, stepSeconds, lateSeconds }) => {
        newestMs += stepSeconds * 1000
        return { ...REQUEST, address, target, timeMs: isOrdered ? newestMs : newestMs - lateSeconds * 1000 }
      })
      const counted: LoggedRequest[] = []
      const expected = requests.map((request) => {
        const last = counted.findLast((one) => one.address === request.address && one.target === request.target)
        if (last !== undefined && Math.abs(request.timeMs - last.timeMs) < 900_000) return 'repeat'
        counted.push(request)
        return 'view'
      })
      t.strictSame(judgeAll(requests), expected)
    }),
  )
})

t.test('visitors older than the window are removed, without an effect on the counts', async (t) => {
  const visits = createVisits({ dedupSeconds: 900 })
  let most = 0
  for (let second = 0; second < 100_000; second++) {
    const request = { ...REQUEST, address: `visitor ${second}`, timeMs: REQUEST.timeMs + second * 1000 }
    if (visits.judge(request).kind !== 'view') t.fail(`no view at ${second}`)
    if (second >= 899) {
      const early = { ...request, address: `visitor ${second - 899}` }
      if (visits.judge(early).kind !== 'repeat') t.fail(`forgotten too early at ${second}`)
    }
    most = Math.max(most, visits.size)
  }
  t.ok(most <= 10_001, `${most} views remembered of 100,000`)
})

t.test('all visitors of a busy window are remembered', async (t) => {
  const visits = createVisits({ dedupSeconds: 900 })
  const visitors = Array.from({ length: 25_000 }, (_, i) => ({
    ...REQUEST,
    address: `${i}`,
    userAgent: `${FIREFOX} ${i}`,
  }))
  for (const visitor of visitors) visits.judge(visitor)
  t.equal(visits.size, 25_000)
  t.ok(visitors.every((visitor) => visits.judge(visitor).kind === 'repeat'))
})
