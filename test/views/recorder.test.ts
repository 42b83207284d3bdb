import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createBotDetector } from '../../views/bots.ts'
import { truncate } from '../../views/client-text.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import { createRecorder, type RequestInfo } from '../../views/recorder.ts'
import type { ViewBuffer } from '../../views/view-buffer.ts'
import { heapGrowth } from '../helpers/heap-growth.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

function setUp(
  change: (buffer: ViewBuffer) => ViewBuffer = (buffer) => buffer,
  {
    ignore = [],
    readersPerAddress = 0,
    ...options
  }: { ignore?: string[]; readersPerAddress?: number; saltMs?: number } = {},
) {
  const memory = createMemoryViewBuffer({ dedupSeconds: 900 })
  const warnings: object[] = []
  let nowMs = Date.parse('2026-03-01T12:00:00Z')
  const record = createRecorder({
    buffer: change(memory),
    dedupSeconds: 900,
    readersPerAddress,
    ignore,
    now: () => nowMs,
    bucketStart: (timeMs) => Math.floor(timeMs / 900_000) * 900_000,
    ...options,
    log: { warn: (details, message) => warnings.push({ ...details, message }) },
  })
  return {
    memory,
    record,
    warnings,
    view: (request: Partial<RequestInfo> = {}, postId = '1', userId?: unknown) =>
      record({
        request: {
          method: 'POST',
          ip: '203.0.113.9',
          ...request,
          headers: { 'user-agent': FIREFOX, ...request.headers },
        },
        postId,
        userId,
      }),
    setTime(time: string) {
      nowMs = Date.parse(time)
    },
  }
}

t.test('a reader counts once within dedupSeconds, also across midnight', async (t) => {
  const { view, setTime } = setUp()
  setTime('2026-03-01T23:50:00Z')
  t.equal(await view(), 'counted')
  t.equal(await view(), 'repeat')
  setTime('2026-03-02T00:04:59.999Z')
  t.equal(await view(), 'repeat')
  t.equal(await view({}, '2'), 'counted')
  setTime('2026-03-02T00:05:00Z')
  t.equal(await view(), 'counted')
})

t.test('a user counts once over all devices', async (t) => {
  const { view } = setUp()
  t.equal(await view({}, '1', 'ann'), 'counted')
  t.equal(await view({ ip: '203.0.113.10' }, '1', 'ann'), 'repeat')
  t.equal(await view({ ip: '203.0.113.10' }), 'counted')
})

t.test(
  'a user id of any type names a user; without an id, readers are told apart by address and browser',
  async (t) => {
    const uuid = Buffer.from('0190a6c4f2b17c3e8d5a112233445566', 'hex')
    const objectId = (hex: string) => ({ hex, toString: () => hex })
    const same: [string, unknown, unknown][] = [
      ['text and number', '7', 7],
      ['number and bigint', 7, 7n],
      ['zero', 0, '0'],
      ['negative zero', -0, 0],
      ['a bigint over 2^53', 9007199254740993n, '9007199254740993'],
      ['a UUID', '0190a6c4-f2b1-7c3e-8d5a-112233445566', '0190a6c4-f2b1-7c3e-8d5a-112233445566'],
      ['bytes', uuid, new Uint8Array(uuid)],
      ['an object with a text of its own', objectId('a1'), objectId('a1')],
    ]
    for (const [name, first, second] of same) {
      const { view } = setUp()
      t.equal(await view({}, '1', first), 'counted', name)
      t.equal(await view({ ip: '198.51.100.7' }, '1', second), 'repeat', name)
      t.equal(await view({ ip: '198.51.100.7' }, '1', 'another'), 'counted', name)
    }
    const { view } = setUp()
    const ids = ['0', '1', 'ann', 'Ann', uuid, Buffer.from(uuid.toReversed()), objectId('b2'), 9007199254740992n]
    for (const id of [...ids, '9007199254740993', 1.5]) t.equal(await view({}, '1', id), 'counted', String(id))
    const nobody = [undefined, null, '', '  ', 'null', 'undefined', Number.NaN, Number.POSITIVE_INFINITY, false, true]
    const odd = [{}, [], [null], Object.create(null), Promise.resolve('7'), Symbol('7'), () => '7']
    for (const id of [...nobody, ...odd]) {
      const { view } = setUp()
      for (const ip of ['203.0.113.9', '198.51.100.7']) t.equal(await view({ ip }, '1', id), 'counted', typeof id)
      t.equal(await view({}, '1', null), 'repeat', typeof id)
    }
  },
)

t.test('a proxy that is not trusted is reported once', async (t) => {
  const from = async (ip: string | undefined, headers: Record<string, string>) => {
    const { view, warnings } = setUp()
    for (const count of [1, 2, 3])
      await view({ ip: ip as string, headers: { ...headers, 'user-agent': `${FIREFOX} ${count}` } })
    return warnings
  }
  const reported: [string | undefined, Record<string, string>][] = [
    ['127.0.0.1', { 'x-forwarded-for': '198.51.100.9' }],
    ['::1', { 'x-forwarded-for': '2001:db8::9' }],
    ['::ffff:10.0.0.4', { 'x-forwarded-for': '198.51.100.9, 10.0.0.4' }],
    ['10.0.0.5:443', { 'x-forwarded-for': '198.51.100.9:4711, 10.0.0.5:443' }],
    ['192.168.1.1', { 'cf-connecting-ip': '198.51.100.9' }],
    ['172.31.255.255', { forwarded: 'for="[2001:db8::9]:443";proto=https' }],
    ['fd00::7', { 'x-real-ip': '10.1.1.1' }],
    ['fe80::1%eth0', { 'x-forwarded-for': 'unknown' }],
    ['100.64.0.1', { 'true-client-ip': '198.51.100.9' }],
    ['10.0.0.1', { forwarded: 'for="' }],
    [undefined, { 'x-forwarded-for': '198.51.100.9' }],
    ['', { 'x-forwarded-for': '198.51.100.9' }],
  ]
  for (const [ip, headers] of reported) {
    const [header] = Object.keys(headers)
    t.match(await from(ip, headers), [{ header, message: /all readers look like one: set TRUST_PROXY/ }], `${ip}`)
    t.equal((await from(ip, headers)).length, 1, 'once')
  }
  const silent: [string, Record<string, string>][] = [
    ['127.0.0.1', {}],
    ['198.51.100.9', { 'x-forwarded-for': '198.51.100.9' }],
    ['203.0.113.7', { 'x-forwarded-for': '198.51.100.9' }],
    ['2001:db8::9', { forwarded: 'for=198.51.100.9', 'cf-connecting-ip': '198.51.100.9' }],
    ['172.32.0.1', { 'x-forwarded-for': '198.51.100.9' }],
    // Readers of an intranet, behind a proxy that is trusted.
    ['10.1.1.1', { 'x-forwarded-for': '10.1.1.1' }],
    ['10.1.1.1:4711', { 'x-forwarded-for': '10.1.1.1:4711, 10.0.0.4', 'x-real-ip': '10.1.1.1' }],
    ['10.1.1.1', { forwarded: 'for="10.1.1.1:80", for=10.0.0.4' }],
  ]
  for (const [ip, headers] of silent) t.same(await from(ip, headers), [], ip)
})

t.test('bots, prefetches and HEAD requests do not count', async (t) => {
  const { view, memory } = setUp()
  const others: [string, Partial<RequestInfo>][] = [
    ['bot', { headers: { 'user-agent': 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)' } }],
    ['bot', { headers: { 'user-agent': 'curl/8.0' } }],
    ['bot', { headers: { 'user-agent': '' } }],
    ['bot', { headers: { 'user-agent': undefined } }],
    ['prefetch', { headers: { 'sec-purpose': 'prefetch;prerender' } }],
    ['prefetch', { method: 'HEAD' }],
  ]
  for (const [outcome, request] of others) t.equal(await view(request), outcome, JSON.stringify(request))
  t.same((await memory.take('batch')).ids, [])
  t.equal(await view({ headers: { purpose: 'navigate' } }), 'counted')
})

t.test('views of requests that match a rule are ignored', async (t) => {
  const rules = [
    '203.0.113.7',
    '10.0.0.0/8',
    '2001:db8:7::/48',
    'User-Agent: uptimerobot',
    'x-preview: *',
    'cookie:staff=',
  ]
  const { view } = setUp(undefined, { ignore: rules })
  const ignored: Partial<RequestInfo>[] = [
    { ip: '203.0.113.7' },
    { ip: '203.0.113.7:4711' },
    { ip: '::ffff:203.0.113.7' },
    { ip: '10.255.0.1' },
    { ip: '[2001:db8:7:ffff::1]:443' },
    { headers: { 'user-agent': 'Mozilla/5.0+(compatible; UptimeRobot/2.0)' } },
    { headers: { 'x-preview': '' } },
    { headers: { 'x-preview': '1', 'sec-purpose': 'prefetch' } },
    { headers: { cookie: `${'a=b; '.repeat(500)}STAFF=1` } },
    { method: 'HEAD', ip: '203.0.113.7' },
  ]
  for (const request of ignored) t.equal(await view(request), 'ignored', JSON.stringify(request).slice(0, 80))
  for (const ip of ['203.0.113.8', '11.0.0.1', '2001:db8:8::1', '2001:db8:8:1::1'])
    t.equal(await view({ ip, headers: { cookie: 'a=staff', 'x-other': '1' } }), 'counted', ip)
  t.equal(await view({ ip: '203.0.113.7', headers: { 'user-agent': 'Googlebot' } }), 'ignored')
})

t.test('readers of one address and of its network are limited, known users are not', async (t) => {
  const { view, setTime, warnings } = setUp(undefined, { readersPerAddress: 3 })
  let browser = 0
  const from = (ip: string, userId?: unknown) => {
    browser += 1
    return view({ ip, headers: { 'user-agent': `Mozilla/5.0 (X11; Linux) Firefox/${browser}.0` } }, '1', userId)
  }
  const manyFrom = async (ips: string[]) => {
    const outcomes: Record<string, number> = {}
    for (const ip of ips) {
      const outcome = await from(ip)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    return outcomes
  }
  const times = (count: number, ipOf: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => ipOf(index))
  t.same(await manyFrom(times(10, (port) => `203.0.113.9:${port + 1}`)), { counted: 3, limited: 7 }, 'an IPv4 address')
  t.same(
    await manyFrom(times(50, (host) => `203.0.113.${host + 20}`)),
    { counted: 12, limited: 38 },
    'the rest of its /24',
  )
  t.same(await manyFrom(times(10, (host) => `2001:db8:1:1::${host + 1}`)), { counted: 3, limited: 7 }, 'an IPv6 /64')
  t.same(await manyFrom(times(500, (net) => `2001:db8:1:${(net + 16).toString(16)}::1`)), { counted: 12, limited: 488 })
  t.same(await manyFrom(['203.0.114.9', '2001:db8:2::1']), { counted: 2 }, 'other networks')
  t.equal(await view({ ip: '203.0.113.9' }, '2'), 'counted', 'another post')
  t.equal(await from('203.0.113.9', 'ann'), 'counted', 'a user')
  t.equal(await from('203.0.113.9', ''), 'limited', 'nobody')
  t.same(warnings, [])
  setTime('2026-03-01T12:15:00Z')
  t.equal(await from('203.0.113.9'), 'counted', 'in the next window')

  const proxied = times(5, () => '10.0.0.4')
  t.same(await manyFrom(proxied), { counted: 3, limited: 2 })
  t.match(
    warnings,
    [{ message: /all readers look like one: set TRUST_PROXY/ }],
    'an address with so many readers is a proxy',
  )
  const { view: viewBehind } = setUp(undefined, { readersPerAddress: 1 })
  for (const name of ['a', 'b']) {
    const headers = { 'x-forwarded-for': '198.51.100.9', 'user-agent': `${FIREFOX} ${name}` }
    t.equal(await viewBehind({ ip: '10.0.0.4', headers }), 'counted', 'a proxy that is not trusted is not limited')
  }
})

t.test('an error of the buffer rejects the view, and the next view is tried', async (t) => {
  let isDown = true
  const failing = async () => {
    throw new Error('ECONNREFUSED')
  }
  const { view } = setUp((buffer) => ({
    ...buffer,
    add: (one) => (isDown ? failing() : buffer.add(one)),
    salt: (day) => (isDown ? failing() : buffer.salt(day)),
  }))
  await t.rejects(view(), /ECONNREFUSED/)
  isDown = false
  t.equal(await view(), 'counted')
})

t.test('while the buffer gives no salt, the known one is used', async (t) => {
  let isDown = false
  const { view } = setUp(
    (buffer) => ({
      ...buffer,
      salt: (day) => (isDown ? Promise.reject(new Error('ECONNREFUSED')) : buffer.salt(day)),
    }),
    { saltMs: 1 },
  )
  t.equal(await view(), 'counted')
  isDown = true
  await sleep(20)
  t.equal(await view(), 'repeat')
})

t.test('user agents of bots are cached, up to a limit', async (t) => {
  const { view } = setUp()
  for (let index = 0; index < 10_001; index += 1) {
    const outcome = await view({ headers: { 'user-agent': `bot ${index}` } })
    if (outcome !== 'bot') t.fail(`${index}: ${outcome}`)
  }
  t.equal(await view({ headers: { 'user-agent': 'bot 1' } }), 'bot')
})

t.test('only the first 512 characters of a header are read', async (t) => {
  const { view } = setUp()
  const long = FIREFOX.padEnd(512, ' rv')
  const sent = (userAgent: string, headers = {}) => view({ headers: { ...headers, 'user-agent': userAgent } })
  t.equal(await sent(`${long} Googlebot`), 'counted')
  t.equal(await sent(`${long}${'x'.repeat(15_000)}`), 'repeat', 'nor is it another visitor')
  t.equal(await sent(`${long.slice(0, 511)}x`), 'counted')
  t.equal(await sent('Googlebot'.padEnd(15_000)), 'bot')
  t.equal(await sent(`${FIREFOX} a`, { purpose: 'prefetch'.padStart(520) }), 'counted')
  t.equal(await sent(`${FIREFOX} b`, { purpose: 'prefetch'.padStart(512) }), 'prefetch')
})

t.test('cached user agents take no more memory than their truncated text', async (t) => {
  const isBot = createBotDetector()
  const lines = 2_000
  const bytes = await heapGrowth(async () => {
    for (let line = 0; line < lines; line += 1) {
      // As from a log, where the user agent is a part of a line.
      const text = Buffer.from(`${line} Mozilla/5.0 `.padEnd(15_000, 'w3Mozilla/5.0 ')).toString()
      isBot(truncate(text.slice(1)))
    }
  })
  t.ok(bytes < lines * 1_000, `${bytes} bytes`)
  t.equal(isBot('Googlebot'), true)
})
