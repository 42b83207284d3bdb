/** A real Varnish in front of an app, with the configuration of docs/proxies.md. */
import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import type { PopularPostsOptions } from '../../index.ts'
import { httpGet } from '../helpers/http-get.ts'
import { startOrigin } from '../helpers/origin.ts'
import { until } from '../helpers/services/until.ts'
import { findVarnish, startVarnish } from '../helpers/varnish.ts'

const reason = await findVarnish().then(() => '', String)
const [, documented = ''] = /```vcl\n([^`]+)```/.exec(await readFile('docs/proxies.md', 'utf8')) ?? []

async function start(t: Test, options: PopularPostsOptions = {}, loadMs = 0) {
  const origin = await startOrigin(t, options, loadMs)
  const proxy = await startVarnish(t, origin.address, documented)
  return {
    origin,
    get: (headers = {}, path = '/posts/popular') => httpGet(`${proxy}${path}`, headers),
    send: async (method: string, path = '/posts/popular') => (await httpGet(`${proxy}${path}`, {}, method)).status,
  }
}

t.test('Varnish', { skip: reason }, async (t) => {
  t.match(documented, /return \(purge\)/, 'the document has the configuration')

  await t.test('a hundred requests for a cold list are one for the app', async (t) => {
    const { origin, get } = await start(t, {}, 300)
    const replies = await Promise.all(Array.from({ length: 100 }, () => get()))
    t.same([...new Set(replies.map(({ status }) => status))], [200])
    t.equal(origin.seen.length, 1)
  })

  await t.test('a client gets no encoding that it does not accept, and 304 for what it has', async (t) => {
    const { origin, get } = await start(t)
    const plain = await httpGet(`${origin.address}/posts/popular`)
    for (const accepted of ['', 'gzip', 'gzip, br']) {
      const accept: Record<string, string> = accepted === '' ? {} : { 'accept-encoding': accepted }
      const { headers, text } = await get(accept)
      t.equal(headers['content-encoding'], accepted === '' ? undefined : 'gzip', 'Varnish asks for gzip only')
      t.equal(text, plain.text)
      const before = origin.seen.length
      t.match(await get({ ...accept, 'if-none-match': headers.etag ?? '' }), { status: 304, text: '' }, accepted)
      t.match(await get({ ...accept, 'if-none-match': '"another"' }), { status: 200 }, accepted)
      t.equal(origin.seen.length, before)
    }
  })

  await t.test('an old list is kept for maxAgeSeconds only, and is verified with its ETag', async (t) => {
    const { origin, get } = await start(t, { maxAgeSeconds: 2, staleWhileRevalidateSeconds: 0 })
    await httpGet(`${origin.address}/posts/popular`)
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    const { headers } = await get()
    t.ok(Number(headers.age) >= 4)
    const asked = origin.seen.length
    t.match(await get(), { status: 200 })
    t.equal(origin.seen.length, asked, 'its max-age counts from now')
    await until(async () => (await get()) && origin.seen.some(({ status }) => status === 304), 'it is verified')
  })

  await t.test('PURGE removes one list, and BAN all of them', async (t) => {
    const { origin, get, send } = await start(t)
    const week = '/posts/popular?days=7'
    for (const path of ['/posts/popular', week]) t.match(await get({}, path), { text: /version 1/ })
    origin.version = 2
    await origin.app.popularPosts.invalidate()
    t.match(await get(), { text: /version 1/ }, 'Varnish does not know of it')
    t.equal(await send('PURGE'), 200)
    t.match(await get(), { text: /version 2/ })
    t.match(await get({ 'accept-encoding': 'gzip' }), { text: /version 2/ })
    t.match(await get({}, week), { text: /version 1/ })
    t.equal(await send('BAN'), 200)
    t.match(await get({}, week), { text: /version 2/ })
  })

  await t.test('the last list is served while the app is down', async (t) => {
    const { origin, get } = await start(t, { maxAgeSeconds: 1, staleWhileRevalidateSeconds: 0 })
    const { text } = await get()
    await origin.app.close()
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    t.match(await get(), { status: 200, text })
  })
})
