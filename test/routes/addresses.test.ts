import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import popularPosts from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { type LogLine, startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

async function setUp(t: Test, variables: NodeJS.ProcessEnv) {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  return { app: await createService(t, url, variables), url }
}

/** Sends a view, as a proxy passes it on. */
function send(app: FastifyInstance, slug: string, headers: Record<string, string>, remoteAddress = '127.0.0.1') {
  const all = { 'user-agent': FIREFOX, ...headers }
  return app.inject({ method: 'POST', url: `/posts/${slug}/views`, remoteAddress, headers: all })
}

/** The numbers of views that were counted and repeated since the last call. */
function createCounter({ postViews }: FastifyInstance) {
  let before = { counted: 0, repeat: 0 }
  return async (sent: number) => {
    const stats = () => {
      const { counted, repeat } = postViews.stats()
      return { counted: counted - before.counted, repeat: repeat - before.repeat }
    }
    await until(() => stats().counted + stats().repeat === sent, 'the views are recorded')
    const change = stats()
    before = postViews.stats()
    return change
  }
}

t.test('each port of an address is the same visitor, and the same client of the rate limit', async (t) => {
  const { app } = await setUp(t, { TRUST_PROXY: 'loopback' })
  const counted = createCounter(app)
  const clients: ((port: number) => Record<string, string>)[] = [
    (port) => ({ 'x-forwarded-for': `198.51.100.9:${port}` }),
    (port) => ({ 'x-forwarded-for': `[2001:db8:9::${port.toString(16)}]:${port}` }),
    (port) => ({ 'x-forwarded-for': `[::ffff:198.51.100.10]:${port}` }),
    (port) => ({ forwarded: `for="198.51.100.11:${port}"` }),
    (port) => ({ forwarded: `for="[2001:db8:7::9]:${port}";proto=https` }),
  ]
  for (const headersOf of clients) {
    const statuses: Record<number, number> = {}
    for (let port = 40_000; port < 40_200; port += 1) {
      const { statusCode } = await send(app, 'post-1', headersOf(port))
      statuses[statusCode] = (statuses[statusCode] ?? 0) + 1
    }
    const name = JSON.stringify(headersOf(1))
    t.same(statuses, { 204: 120, 429: 80 }, name)
    t.same(await counted(120), { counted: 1, repeat: 119 }, name)
  }
})

t.test('proxies are trusted with ports and brackets; what a client claims is not', async (t) => {
  const { app } = await setUp(t, { TRUST_PROXY: 'loopback, 10.0.0.0/8, 2001:db8:ff::/48' })
  const counted = createCounter(app)
  // Each request names one client in another way, and has something before it that the client made up.
  const chains: Record<string, string>[] = [
    { 'x-forwarded-for': '1.1.1.1, 198.51.100.9' },
    { 'x-forwarded-for': '2.2.2.2, 198.51.100.9:4711, 10.0.0.5:443' },
    { 'x-forwarded-for': '3.3.3.3,198.51.100.9:1, [2001:db8:ff::7]:443, [::ffff:10.0.0.5]:80' },
    { 'x-forwarded-for': '198.51.100.9', forwarded: 'for=4.4.4.4' },
    { forwarded: 'for=5.5.5.5, for=198.51.100.9' },
    { forwarded: 'for=6.6.6.6;proto=http, for="198.51.100.9:4711";by=_x, for="[2001:db8:ff::7]:443"' },
    { forwarded: 'for="7.7.7.7, 10.0.0.1", for=198.51.100.9, for=10.0.0.5' },
    { forwarded: 'for=_made_up, for=198.51.100.9', 'x-forwarded-for': '' },
  ]
  for (const headers of chains) await send(app, 'post-1', headers)
  t.same(await counted(chains.length), { counted: 1, repeat: chains.length - 1 })
  await send(app, 'post-1', { 'x-forwarded-for': '198.51.100.10, 10.0.0.5:443' })
  t.same(await counted(1), { counted: 1, repeat: 0 }, 'another client behind the same proxies')
  // A quote that the client opens cannot hide what the proxy appends.
  for (const fake of ['8.8.8.8', '9.9.9.9'])
    await send(app, 'post-1', { forwarded: `for=${fake};x=", for=198.51.100.9` })
  t.same(await counted(2), { counted: 1, repeat: 1 }, 'the address of the proxy')
})

t.test('behind CloudFront, the reader is the one that it names, in each form of the address', async (t) => {
  const key = 'the-id-of-the-stack'
  const { app } = await setUp(t, { CLOUDFRONT_KEY: key, TRUST_PROXY: 'loopback' })
  const counted = createCounter(app)
  const edge = '130.176.0.9'
  const view = (viewer: string, more: Record<string, string> = { 'x-cloudfront-key': key }) =>
    send(app, 'post-1', { 'cloudfront-viewer-address': viewer, 'x-forwarded-for': `192.0.2.1, ${edge}`, ...more })
  const readers = [
    ['198.51.100.9:46532', '198.51.100.9:1', '[198.51.100.9]:2', '::ffff:198.51.100.9:3'],
    ['2001:db8:1:2::8a2e:370:7334:46532', '2001:DB8:1:2::1:80', '[2001:db8:1:2::5]:443', '2001:db8:1:2:1:2:3:4:65535'],
    ['2001:db8::1:4711'],
  ]
  for (const forms of readers) {
    for (const form of forms) await view(form)
    t.same(await counted(forms.length), { counted: 1, repeat: forms.length - 1 }, forms.join(', '))
  }
  // Each of these comes from the edge, as far as the app can know.
  const wrong = [
    '',
    'unknown',
    '198.51.100.77',
    '198.51.100.77, 198.51.100.78:1',
    '::1',
    '1.2.3.4:5:6',
    ':80',
    '2001:db8::zz:1',
  ]
  for (const form of wrong) await view(form)
  t.same(
    await counted(wrong.length),
    { counted: 1, repeat: wrong.length - 1 },
    'an address that cannot be read is ignored',
  )
})

t.test('without the key of CloudFront, its header names no reader', async (t) => {
  const key = 'the-id-of-the-stack'
  const { app } = await setUp(t, { CLOUDFRONT_KEY: key })
  const counted = createCounter(app)
  const keys = [undefined, '', 'guess', `${key} `, `${key}, ${key}`, key.toUpperCase()]
  for (const [index, guess] of keys.entries()) {
    const sent = guess === undefined ? {} : { 'x-cloudfront-key': guess }
    await send(app, 'post-1', { 'cloudfront-viewer-address': `198.51.100.${index}:80`, ...sent }, '203.0.113.9')
  }
  t.same(await counted(keys.length), { counted: 1, repeat: keys.length - 1 })
  const { app: direct } = await setUp(t, {})
  const countedDirectly = createCounter(direct)
  for (const host of [1, 2])
    await send(
      direct,
      'post-1',
      { 'cloudfront-viewer-address': `198.51.100.${host}:80`, 'x-cloudfront-key': key },
      '203.0.113.9',
    )
  t.same(await countedDirectly(2), { counted: 1, repeat: 1 }, 'without the setting')
})

t.test('without a trusted proxy no header names the client', async (t) => {
  const { app } = await setUp(t, { TRUST_PROXY: '10.0.0.0/8' })
  const counted = createCounter(app)
  for (const fake of ['198.51.100.1', '198.51.100.2']) {
    await send(app, 'post-1', { 'x-forwarded-for': fake }, '203.0.113.9')
    await send(app, 'post-1', { forwarded: `for=${fake}` }, '203.0.113.9')
    await send(app, 'post-1', { 'cf-connecting-ip': fake, 'x-real-ip': fake }, '203.0.113.9')
  }
  t.same(await counted(6), { counted: 1, repeat: 5 })
})

t.test('a proxy that is not trusted is reported once: routes, record(), the service and an own app', async (t) => {
  const { url } = await setUp(t, {})
  const reports = (lines: LogLine[]) => lines.filter(({ msg }) => msg.includes('all readers look like one'))
  const own = await startLoggedApp(t, { databaseUrl: url })
  await send(own.app, 'post-1', {})
  await send(own.app, 'post-1', { 'x-forwarded-for': '198.51.100.9' }, '203.0.113.9')
  t.same(reports(own.lines), [], 'no proxy, or a client that makes up a header')
  const request = {
    method: 'GET',
    ip: '10.0.0.4',
    headers: { 'user-agent': FIREFOX, 'cf-connecting-ip': '198.51.100.9' },
  }
  await own.app.postViews.record({ slug: 'post-1', request })
  await send(own.app, 'post-1', { 'x-forwarded-for': '198.51.100.9' })
  await until(() => own.app.postViews.stats().counted + own.app.postViews.stats().repeat === 4, 'they are recorded')
  t.match(reports(own.lines), [{ level: 40, header: 'cf-connecting-ip' }])
  t.equal(reports(own.lines).length, 1)
  t.notMatch(JSON.stringify(reports(own.lines)), /198\.51\.100|203\.0\.113/, 'without an address')

  const lines: LogLine[] = []
  const trusting = Fastify({
    trustProxy: 'loopback',
    logger: { stream: { write: (line: string) => lines.push(JSON.parse(line)) } },
  })
  t.teardown(() => trusting.close())
  await trusting.register(popularPosts, { databaseUrl: url })
  for (const client of ['198.51.100.9', '10.1.1.1']) await send(trusting, 'post-1', { 'x-forwarded-for': client })
  await until(() => trusting.postViews.stats().counted === 2, 'both are counted')
  t.same(reports(lines), [], 'a trusted proxy, also for readers of an intranet')
})
