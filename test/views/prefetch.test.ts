import t from 'tap'
import { isPrefetch } from '../../views/prefetch.ts'

/** What browsers and routers send with a page, or the data of a page, that the reader has not opened yet. */
const AHEAD: Record<string, Record<string, string>[]> = {
  'Chrome, Edge: speculation rules, address bar': [
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { 'sec-purpose': 'prefetch;prerender;preview' },
    { 'sec-purpose': 'prefetch;anonymous-client-ip' },
    { 'sec-purpose': 'prefetch', 'sec-speculation-tags': 'null' },
    { purpose: 'prefetch', 'sec-purpose': 'prefetch;prerender' },
  ],
  'Chrome, Edge: <link rel=prefetch> (instant.page, quicklink, Astro, Remix)': [{ purpose: 'prefetch' }],
  'Firefox, Safari: <link rel=prefetch>': [{ 'sec-purpose': 'prefetch' }, { 'x-moz': 'prefetch' }],
  'Firefox, other forms': [{ 'moz-purpose': 'prefetch' }, { 'sec-fetch-purpose': 'prefetch' }],
  'Safari: top sites; old Chrome: Instant Pages; Facebook: links in its app': [
    { 'x-purpose': 'preview' },
    { 'x-purpose': ': preview' },
    { purpose: 'preview' },
    { 'x-purpose': 'instant; prerender' },
  ],
  'Turbo 8': [{ 'x-sec-purpose': 'prefetch' }, { 'x-sec-purpose': 'prefetch', 'turbo-frame': 'main' }],
  'Turbolinks with prefetch, Inertia': [{ purpose: 'prefetch' }, { purpose: 'prefetch', 'x-inertia': 'true' }],
  'Next.js, pages and app router': [
    { purpose: 'prefetch', 'x-middleware-prefetch': '1' },
    { 'x-middleware-prefetch': '1' },
    { rsc: '1', 'next-router-prefetch': '1' },
    { rsc: '1', 'next-router-prefetch': '2' },
    { rsc: '1', 'next-router-prefetch': '1', 'next-router-segment-prefetch': '/_tree' },
    { rsc: '1', 'next-router-segment-prefetch': '/blog/$d$slug/__PAGE__' },
  ],
  'htmx, preload extension': [{ 'hx-preloaded': 'true' }, { 'hx-request': 'true', 'hx-preloaded': 'true' }],
  'services that render pages ahead': [{ 'x-prerender': '1' }],
  'others that follow these names': [{ 'x-flute-prefetch': '1' }, { 'x-prefetch': 'true' }, { 'x-preload': 'yes' }],
  'in any case, as proxies pass it on': [{ purpose: 'Prefetch' }, { 'sec-purpose': ' prefetch ; prerender' }],
}

/** What readers send who open a page, also with a router. */
const OPENED: Record<string, Record<string, string | undefined>> = {
  'a browser': { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', 'upgrade-insecure-requests': '1' },
  'a beacon of a page': { 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'no-cors', 'content-type': 'text/plain' },
  Turbo: { 'x-turbo-request-id': 'c0ffee', accept: 'text/vnd.turbo-stream.html, text/html' },
  'Next.js': { rsc: '1', 'next-router-state-tree': '%5B%22%22%5D', 'next-url': '/blog' },
  htmx: { 'hx-request': 'true', 'hx-boosted': 'true', 'hx-current-url': 'https://blog.example/prefetch' },
  'Livewire, Unpoly, Inertia': { 'x-livewire-navigate': '1', 'x-up-version': '3.11.0', 'x-inertia': 'true' },
  'another purpose': { purpose: 'navigate', 'x-moz': 'microsummary' },
  'flags that are off': { 'x-prefetch': '0', 'hx-preloaded': 'false', 'x-preload': '', 'x-prerender': '?0' },
  'headers that are not there': { 'sec-purpose': undefined, 'hx-preloaded': undefined },
  'words in other places': { referer: 'https://blog.example/what-is-prefetch', 'x-dns-prefetch-control': 'off' },
  'cookies and user agents': { cookie: 'purpose=prefetch', 'user-agent': 'Mozilla/5.0 prerender' },
}

t.test('a request ahead of its use is recognized by the headers of each browser and router', async (t) => {
  for (const [who, requests] of Object.entries(AHEAD))
    for (const headers of requests) t.equal(isPrefetch(headers), true, `${who}: ${JSON.stringify(headers)}`)
})

t.test('a request of a reader is none, whatever else its headers say', async (t) => {
  for (const [who, headers] of Object.entries(OPENED)) t.equal(isPrefetch(headers), false, who)
})

t.test('of several headers of one name each counts, and no more than 512 characters are read', async (t) => {
  t.equal(isPrefetch({ 'x-purpose': ['navigate', 'prefetch'] }), true)
  t.equal(isPrefetch({ purpose: 'prefetch'.padStart(520) }), false)
  t.equal(isPrefetch({ 'x-prefetch': ' '.repeat(600) }), false)
})
