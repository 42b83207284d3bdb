import t from 'tap'
import { createBotDetector } from '../../views/bots.ts'
import { truncate } from '../../views/client-text.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import { createRecorder, type RequestInfo } from '../../views/recorder.ts'
import type { ViewBuffer } from '../../views/view-buffer.ts'
import { heapGrowth } from '../helpers/heap-growth.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

function setUp(change: (buffer: ViewBuffer) => ViewBuffer = (buffer) => buffer) {
  const memory = createMemoryViewBuffer({ dedupSeconds: 900 })
  let nowMs = Date.parse('2026-03-01T12:00:00Z')
  const record = createRecorder({
    buffer: change(memory),
    dedupSeconds: 900,
    now: () => nowMs,
    bucketStart: (timeMs) => Math.floor(timeMs / 900_000) * 900_000,
  })
  return {
    memory,
    record,
    view: (request: Partial<RequestInfo> = {}, postId = '1', userId?: string) =>
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
