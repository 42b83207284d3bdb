import { Parser } from 'htmlparser2'
import { resolveAddress } from './xml.ts'

/** A picture of a post. */
export interface Picture {
  url: string
  /** In pixels. */
  width?: number | undefined
  height?: number | undefined
  /** Default: empty. */
  alt?: string | undefined
}

const MAX_TITLE = 300
const MAX_EXCERPT = 300
const MAX_NAME = 100
/** A longer text is cut before it is read as HTML: excerpts and first pictures need its beginning only. */
const MAX_HTML = 20_000

/** The text of these elements is not for readers. */
const HIDDEN = new Set(['script', 'style', 'template', 'noscript', 'iframe', 'svg', 'math'])
/** Their text goes on without a space. */
const INLINE = new Set([
  ...['a', 'abbr', 'b', 'bdi', 'bdo', 'cite', 'code', 'del', 'dfn', 'em', 'i', 'ins', 'kbd', 'mark', 'q', 's', 'samp'],
  ...['small', 'span', 'strong', 'sub', 'sup', 'u', 'var', 'wbr', 'font', 'tt', 'big', 'strike'],
])

/** The text of HTML, in one line. */
export function textOfHtml(html: string): string {
  let text = ''
  let hidden = 0
  const parser = new Parser({
    onopentag(name) {
      if (HIDDEN.has(name)) hidden++
      if (!INLINE.has(name)) text += ' '
    },
    ontext(data) {
      if (hidden === 0) text += data
    },
    onclosetag(name) {
      if (HIDDEN.has(name)) hidden--
      if (!INLINE.has(name)) text += ' '
    },
  })
  parser.end(html.slice(0, MAX_HTML))
  return oneLine(text)
}

/** The pairs of tags that people put into titles. `<b>` alone is a word about HTML. */
const PAIR = new RegExp(`<(${[...INLINE].join('|')})(?:\\s[^<>]*)?>([^<>]*)</\\1\\s*>`, 'gi')

/**
 * A title that may be text or HTML: RSS does not say which. Entities are decoded and pairs of inline tags removed, so
 * `<b>` in `How to use <b>` stays.
 */
export function titleOfText(text: string): string {
  let plain = text.slice(0, MAX_HTML)
  // A pair may be in a pair.
  for (let times = 0; times < 3; times++) plain = plain.replace(PAIR, '$2')
  return titleOf(decodeEntities(plain))
}

/** Cuts a title to its greatest length. */
export function titleOf(text: string): string {
  return cut(oneLine(text), MAX_TITLE)
}

/** Cuts an excerpt to its greatest length. */
export function excerptOf(text: string): string {
  return cut(oneLine(text), MAX_EXCERPT)
}

/** The name of an author, a category or a tag; empty: it has no letter, digit or sign. */
export function nameOf(text: string): string {
  return cut(titleOfText(text), MAX_NAME)
}

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  let decoded = ''
  // No text in it is a tag.
  const parser = new Parser({
    ontext(data) {
      decoded += data
    },
  })
  parser.end(text.replaceAll('<', '&lt;'))
  return decoded
}

/** Text without what PostgreSQL cannot store, and without control characters and line ends. */
function oneLine(text: string): string {
  return wellFormed(text)
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
}

/** Lone surrogates have no UTF-8: they become U+FFFD. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text
  const start = wellFormed(text.slice(0, length - 1))
  const end = start.lastIndexOf(' ')
  return `${(end > length / 2 ? start.slice(0, end) : start).replace(/[\s\uFFFD]+$/, '')}…`
}

/**
 * The first picture in HTML that readers see: counters of a pixel are none.
 * @param base the address of the post.
 */
export function pictureInHtml(html: string, base: string): Picture | undefined {
  const found: Picture[] = []
  const parser = new Parser({
    onopentag(name, attributes) {
      if (name === 'img') found.push(...pictureOfImg(attributes, base))
    },
  })
  parser.end(html.slice(0, MAX_HTML))
  return found[0]
}

/** The picture of an `<img>`, if it is one that readers see. */
export function pictureOfImg(attributes: Readonly<Record<string, string>>, base: string | undefined): Picture[] {
  const url = resolveAddress(attributes['src'], base)
  const [width, height] = [pixelsOf(attributes['width']), pixelsOf(attributes['height'])]
  const isSeen = url !== undefined && [width, height].every((pixels) => pixels === undefined || pixels > 1)
  return isSeen ? [{ url, width, height, alt: titleOf(attributes['alt'] ?? '') }] : []
}

/** A number of pixels; `undefined`: it is none, as `100%`. */
export function pixelsOf(text: string | undefined): number | undefined {
  return /^\s*\d{1,5}(?:px)?\s*$/.test(text ?? '') ? Number.parseInt(String(text), 10) : undefined
}

const FEED_TYPES = /^application\/(?:(?:rss|atom)\+xml|feed\+json|json)$/i

/** The addresses of the feeds that an HTML page names, in their order. */
export function feedsInHtml(html: string, base: string | undefined): string[] {
  const feeds: string[] = []
  const parser = new Parser({
    onopentag(name, { rel = '', type = '', href }) {
      if (name !== 'link' || !rel.toLowerCase().split(/\s+/).includes('alternate') || !FEED_TYPES.test(type.trim()))
        return
      feeds.push(resolveAddress(href, base) ?? href ?? '')
    },
  })
  parser.end(html)
  return feeds.filter((feed) => feed !== '')
}
