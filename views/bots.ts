import { isbot } from 'isbot'
import { detachedCopy } from './client-text.ts'

/** The most user agents in the cache; at this size the cache is cleared. */
const MAX_REMEMBERED = 10_000

/**
 * Browsers, apps and televisions whose user agent has a word or a sign that isbot takes for one of bots: `News`, `Google`,
 * `Catcher`, `@`, `|`.
 */
const READERS =
  /^(?:NetSurf|Dillo|Offpunk|w3m)\/|SogouM(?:obileBrowser|SE)|AliApp\(|baidu(?:boxapp|browser)\/|imoAndroid\/|GoogleLens\/|GoogleTV|(?:Apple|Sohu)News\/| OMI\/| NETTV\/|Windows Phone/i

/** What no reader has. It decides where the name of an app or of a phone hides a bot. */
const SAYS_BOT = /(?<!cu)bots?\b|crawl|spider|preview|https?:/i

/** The model of an Android device, whose maker chose its name: `Discovery Pro`, `Capture+`, `Google TV`. */
const MODEL = /(Android [\d.]+;(?: [a-z]{2}[-_][a-z]{2};)?) [^;()]+/i

/**
 * Bots that isbot takes for browsers: programs, AI agents, tests of pages, and mail scanners. Of browsers, only old ones
 * call themselves `compatible`, and none has the name of Apple's network library.
 */
const BOTS =
  /^Mozilla\/[45]\.0 \(compatible; (?!MSIE|Konqueror|IBrowse|Origyn|Polaris|KUN|Linux [\d.]+\) NetFront|U; (?:ABrowse|Webpositive))|Gecko\)?; compatible; |^(?:Dart|Microsoft Office|kube-probe|Outlook-\w+|MacOutlook|amazon-kendra)\b|^Mozilla\/5\.0 \(Macintosh; Intel Mac OS X\) (?:Word|Excel|PowerPoint|Outlook)\/|CFNetwork\/|jsdom\/|PowerShell\/|ms-office|Catchpoint|GTmetrix|Puppeteer|AlertSite|Nikto|DebugBear|Assetnote\/|claude-web|SlimerJS\/|Zombie\.js|wkhtmlto/i

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
    const isFound = isBot(userAgent)
    known.set(detachedCopy(userAgent), isFound)
    return isFound
  }
}

function isBot(userAgent: string): boolean {
  if (userAgent === '' || BOTS.test(userAgent)) return true
  if (!isbot(userAgent)) return false
  if (SAYS_BOT.test(userAgent)) return true
  return !READERS.test(userAgent) && isbot(userAgent.replace(MODEL, '$1 K'))
}
