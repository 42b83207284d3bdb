/** A real nginx in front of an app, with the configuration of docs/proxies.md. */
import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import type { PopularPostsOptions } from '../../index.ts'
import { httpGet } from '../helpers/http-get.ts'
import { startNginx } from '../helpers/nginx.ts'
import { startOrigin } from '../helpers/origin.ts'
import { findNginx } from '../helpers/services/find-nginx.ts'
import { until } from '../helpers/services/until.ts'

const reason = await findNginx().then(() => '', String)
const [, documented = ''] = /```nginx\n([^`]+)```/.exec(await readFile('docs/proxies.md', 'utf8')) ?? []

async function start(t: Test, maxAgeSeconds = 60, options: PopularPostsOptions = {}, loadMs = 0) {
  const origin = await startOrigin(t, { maxAgeSeconds, ...options }, loadMs)
  const proxy = await startNginx(t, [origin.address], documented)
  return { origin, get: (headers = {}) => httpGet(`${proxy}/posts/popular`, headers) }
}

t.test('nginx', { skip: reason }, async (t) => {
  t.match(documented, /location ~ .+popular.+proxy_cache lists;/s, 'the document has the configuration')

  await t.test('a hundred requests for a cold list are one for the app', async (t) => {
    const { origin, get } = await start(t, 60, {}, 300)
    const replies = await Promise.all(Array.from({ length: 100 }, () => get()))
    t.same([...new Set(replies.map(({ status }) => status))], [200])
    t.equal(origin.seen.length, 1)
  })

  await t.test('each encoding is stored apart, and a client gets none that it does not accept', async (t) => {
    const { origin, get } = await start(t)
    const plain = await httpGet(`${origin.address}/posts/popular`)
    for (const [accepted, encoding] of [
      ['gzip'],
      ['br'],
      ['gzip, br', 'br'],
      [''],
      ['identity', ''],
      ['gzip;q=0', ''],
    ]) {
      for (let count = 0; count < 2; count += 1) {
        const { status, headers, text } = await get(accepted === '' ? {} : { 'accept-encoding': accepted })
        t.equal(status, 200)
        t.equal(headers['content-encoding'] ?? '', encoding ?? accepted, `${accepted} ${count}`)
        t.match(headers.vary, /accept-encoding/i)
        t.equal(text, plain.text)
      }
    }
  })

  await t.test('a client that has the list gets 304 from nginx, without a request to the app', async (t) => {
    const { origin, get } = await start(t)
    for (const accepted of ['', 'gzip', 'br']) {
      const accept: Record<string, string> = accepted === '' ? {} : { 'accept-encoding': accepted }
      const { headers } = await get(accept)
      const before = origin.seen.length
      t.match(await get({ ...accept, 'if-none-match': headers.etag ?? '' }), { status: 304, text: '' }, accepted)
      t.match(await get({ ...accept, 'if-none-match': '"another"' }), { status: 200 }, accepted)
      t.equal(origin.seen.length, before)
    }
  })

  await t.test('an old list is not kept for its age longer, and is verified with its ETag', async (t) => {
    const { origin, get } = await start(t, 1)
    await httpGet(`${origin.address}/posts/popular`)
    // The list has an age, so that its max-age is 63 and more.
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    const { headers } = await get()
    t.ok(Number(headers.age) >= 3)
    t.notOk('x-accel-expires' in headers, 'nginx does not pass it on')
    await until(async () => (await get()) && origin.seen.some(({ status }) => status === 304), 'it is verified')
    const [verified] = origin.seen.filter(({ status }) => status === 304)
    t.equal(verified?.ifNoneMatch, headers.etag)
  })

  await t.test('an invalidation is seen after the time of nginx', async (t) => {
    const { origin, get } = await start(t, 1)
    t.match(await get(), { text: /version 1/ })
    origin.version = 2
    await origin.app.popularPosts.invalidate()
    await until(async () => (await get()).text.includes('version 2'), 'the new list')
  })

  await t.test('the last list is served while the app is down', async (t) => {
    const { origin, get } = await start(t, 1)
    const { text } = await get()
    await origin.app.close()
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    t.match(await get(), { status: 200, text })
  })
})
