import { createRandom } from './random.ts'

/** A request, as it was sent: the writers of log formats write it, and {@link countViews} counts it. */
export interface SentRequest {
  /** The visitor, whatever the notation of the address. */
  visitor: string
  address: string
  timeMs: number
  /** The offset of the server's clock in minutes. */
  zone: number
  method: string
  target: string
  status: number
  /** Empty: none. */
  referer: string
  /** Empty: none. */
  agent: string
}

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
const READERS = [
  FIREFOX,
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1',
  `${FIREFOX} "odd\\one" é`,
]
const BOTS = ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'curl/8.5.0', '']
/** Two addresses of one /64 are one visitor. */
const VISITORS: readonly (readonly [visitor: string, addresses: readonly string[]])[] = [
  ['a', ['203.0.113.7']],
  ['b', ['198.51.100.23']],
  ['c', ['192.0.2.200']],
  ['d', ['2001:db8:1:2::7', '2001:db8:1:2:aaaa:bbbb:cccc:dddd']],
  ['e', ['2001:db8:ffff::1', '2001:db8:ffff::2']],
  ['f', ['8.8.4.4']],
]
const POSTS = ['first', 'second', 'third-post', 'caf%C3%A9', 'with%20space', '2015']

/** Requests of about a day: readers, bots, repeats, queries, other paths, methods and statuses. */
export function createRequests(count: number, seed: number): SentRequest[] {
  const random = createRandom(seed)
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T
  const beginsMs = Date.UTC(2024, 1, 28, 22)
  return Array.from({ length: count }, (_none, index) => {
    const [visitor, addresses] = pick(VISITORS)
    const path = random() < 0.8 ? `/blog/${pick(POSTS)}` : pick(['/', '/style.css', '/blog/', '/blog/a/b', '/about'])
    return {
      visitor,
      address: pick(addresses),
      timeMs: beginsMs + index * 60_000 + Math.floor(random() * 60) * 1000,
      zone: pick([0, 0, 120, -210, 345]),
      method: random() < 0.9 ? 'GET' : pick(['HEAD', 'POST']),
      target: `${path}${pick(['', '', '', '?utm_source=x&y=%22', '?q=a+b'])}`,
      status: pick([200, 200, 200, 200, 304, 404, 301, 500]),
      referer: pick(['', 'https://search.example/?q=%22a', 'android-app://com.example/']),
      agent: random() < 0.75 ? pick(READERS) : pick(BOTS),
    }
  })
}

interface Counting {
  /** Whether the log has the user agent. */
  hasAgent?: boolean
  isBot?: (agent: string) => boolean
  /** The path of a post, with its slug as the first group. */
  post?: RegExp
}

/** What must be counted, by comparing each request with all views before. */
export function countViews(
  requests: readonly SentRequest[],
  { hasAgent = true, isBot = (agent) => BOTS.includes(agent), post = /^\/blog\/([^/?]+)(?:\?.*)?$/ }: Counting = {},
) {
  const views: { slug: string; key: string; timeMs: number }[] = []
  const counts: Record<string, number> = {}
  let [bots, repeats] = [0, 0]
  for (const { visitor, timeMs, method, target, status, agent } of requests) {
    const slug = post.exec(target)?.[1]
    if (method !== 'GET' || ![200, 304].includes(status) || slug === undefined) continue
    if (hasAgent && isBot(agent)) {
      bots++
      continue
    }
    const key = JSON.stringify([visitor, slug, hasAgent ? agent : ''])
    if (views.some((view) => view.key === key && Math.abs(timeMs - view.timeMs) < 900_000)) {
      repeats++
      continue
    }
    views.push({ slug, key, timeMs })
    const name = decodeURIComponent(slug)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return { counts, bots, repeats, views: views.length }
}
