import { isbot } from 'isbot'
import { detachedCopy } from './client-text.ts'

/** The most user agents in the cache; at this size the cache is cleared. */
const MAX_REMEMBERED = 10_000

/** Browsers that isbot takes for bots. */
const BROWSERS = /^(?:NetSurf|Dillo|Offpunk)\/|SogouMobileBrowser\//i

/**
 * Bots that isbot takes for browsers: programs, tests of pages, and mail scanners. Of browsers, only Internet Explorer and
 * Konqueror call themselves `compatible`, and none has the name of Apple's network library.
 */
const BOTS =
  /^Mozilla\/[45]\.0 \(compatible; (?!MSIE|Konqueror)|^(?:Dart|Microsoft Office)\/|CFNetwork\/|jsdom\/|PowerShell\/|GTmetrix|Puppeteer|AlertSite|Nikto/i

/**
 * Creates a function that tells whether a user agent belongs to a bot; an empty one does. Results are cached, because isbot
 * takes 5 to 20 µs, and a few user agents send most requests.
 *
 * The function expects a truncated user agent (see `client-text.ts`), so that the cache takes at most 5 MB.
 */
export function createBotDetector(): (userAgent: string) => boolean {
  const known = new Map<string, boolean>()
  return (userAgent) => {
    const cached = known.get(userAgent)
    if (cached !== undefined) return cached
    if (known.size >= MAX_REMEMBERED) known.clear()
    const isFound = userAgent === '' || (!BROWSERS.test(userAgent) && (isbot(userAgent) || BOTS.test(userAgent)))
    known.set(detachedCopy(userAgent), isFound)
    return isFound
  }
}
