import type { IncomingHttpHeaders } from 'node:http'
import { truncate } from './client-text.ts'

/** Headers that name the purpose of a request: `Sec-Purpose`, `X-Sec-Purpose`, `Purpose`, `X-Purpose`, `X-Moz` and others. */
const PURPOSE = /(?:^|-)purpose$|^x-moz$/
const AHEAD = /prefetch|prerender|preview/i
/** Headers that say themselves that a request is ahead of its use: `Next-Router-Prefetch`, `HX-Preloaded` and others. */
const FLAG = /-(?:prefetch|preload(?:ed)?|prerender)$/
const UNSET = /^(?:\?0|0|false|)$/i

/**
 * Tells whether a browser, or a router in the page, requests a page ahead, so that the reader has not seen it yet. Browsers and
 * routers have a header of their own each, but they name them in two ways; `test/views/prefetch.test.ts` has the list.
 */
export function isPrefetch(headers: IncomingHttpHeaders): boolean {
  for (const name in headers) {
    if (PURPOSE.test(name)) {
      if (AHEAD.test(truncate(String(headers[name])))) return true
    } else if (FLAG.test(name) && !UNSET.test(truncate(String(headers[name] ?? '')).trim())) return true
  }
  return false
}
