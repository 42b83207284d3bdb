import fc from 'fast-check'
import t from 'tap'
import type { LoggedRequest } from '../../../bin/import-log/formats/request.ts'
import { createVisits } from '../../../bin/import-log/visits.ts'
import { judgeChain, type Visit } from '../../../db/log-chains.ts'
import { POST } from '../../helpers/access-log.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
const REQUEST: LoggedRequest = {
  address: '1.2.3.4',
  timeMs: 1_000_000_000_000,
  method: 'GET',
  target: '/a',
  status: 200,
  host: undefined,
  referer: undefined,
  userAgent: FIREFOX,
}

/** The kind of each request, in the given order; that of a visit is `view` or `repeat`. */
function judgeAll(requests: Partial<LoggedRequest>[], dedupSeconds = 900): string[] {
  const { judge } = createVisits({})
  const chains = new Map<string, Visit[]>()
  const judged = requests.map((request) => {
    const logged = { ...REQUEST, ...request }
    const verdict = judge(logged)
    if (verdict.kind !== 'visit') return verdict.kind
    const visit: Visit = { timeMs: logged.timeMs, wasCounted: undefined, isRemoved: false, isCounted: false }
    const key = JSON.stringify([verdict.slug, verdict.visitor])
    chains.set(key, [...(chains.get(key) ?? []), visit])
    return visit
  })
  for (const chain of chains.values()) {
    judgeChain(
      chain.sort((a, b) => a.timeMs - b.timeMs),
      dedupSeconds * 1000,
      () => {},
    )
  }
  return judged.map((one) => (typeof one === 'string' ? one : one.isCounted ? 'view' : 'repeat'))
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
  const visits = createVisits({ post: POST })
  t.strictSame(visits.judge({ ...REQUEST, target: '/blog/a%20b?c' }), {
    kind: 'visit',
    slug: 'a b',
    path: '/blog/a b',
    query: '',
    visitor: `1.2.3.4 ${FIREFOX}`,
  })
  t.strictSame(visits.judge({ ...REQUEST, target: '/a' }), { kind: 'other' })
})

t.test('a visitor counts again 900 seconds after the view that counted, not after the last request', async (t) => {
  const at = (seconds: number) => ({ timeMs: REQUEST.timeMs + seconds * 1000 })
  t.strictSame(judgeAll([at(0), at(0), at(899), at(900), at(1799), at(1800)]), [
    ...['view', 'repeat', 'repeat', 'view', 'repeat', 'view'],
  ])
  t.strictSame(judgeAll([at(0), at(-1), at(-899), at(-900)]), ['view', 'repeat', 'repeat', 'view'], 'out of order')
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

t.test('decisions equal those of brute force in the order of the times, whatever the order of the lines', async (t) => {
  const request = fc.record({
    address: fc.constantFrom('1.1.1.1', '2.2.2.2'),
    target: fc.constantFrom('/a', '/b'),
    second: fc.integer({ min: 0, max: 10_000 }),
  })
  fc.assert(
    fc.property(fc.uniqueArray(request, { maxLength: 100, selector: ({ second }) => second }), (requests) => {
      const counted: typeof requests = []
      const views = new Set<number>()
      for (const one of requests.toSorted((a, b) => a.second - b.second)) {
        const last = counted.findLast((view) => view.address === one.address && view.target === one.target)
        if (last !== undefined && one.second - last.second < 900) continue
        counted.push(one)
        views.add(one.second)
      }
      const kinds = judgeAll(requests.map(({ second, ...rest }) => ({ ...rest, timeMs: second * 1000 })))
      t.strictSame(
        kinds,
        requests.map(({ second }) => (views.has(second) ? 'view' : 'repeat')),
      )
    }),
  )
})
