import { plural } from '../../lib/plural.ts'
import type { Entry } from './feed-post.ts'
import { readAtomEntry, readItem } from './read-entry.ts'
import { readJsonFeed } from './read-json.ts'
import { readSitemapUrl, type SitemapEntry } from './read-sitemap.ts'
import { feedsInHtml } from './text.ts'
import { readXml, resolveAddress, textOf } from './xml.ts'

/** What a document has: posts of a feed, pages of a sitemap, or the addresses of more sitemaps. */
export interface FeedDocument {
  entries: Entry[]
  pages: SitemapEntry[]
  sitemaps: string[]
}

/** The most entries of one document, and of one import: as many as a sitemap may have. */
export const MAX_ENTRIES = 50_000

/** What is an entry, by the element around it. */
const ENTRIES = {
  channel: 'item',
  rss: 'item',
  'rdf:rdf': 'item',
  'atom:feed': 'atom:entry',
  urlset: 'url',
  sitemapindex: 'sitemap',
}

/**
 * Reads a feed (RSS, Atom, JSON Feed), a sitemap or an index of sitemaps.
 * @param name how a message names the document.
 * @param base its address; `undefined`: a file.
 * @throws an error for the user, if it is none of these, has no end, or is too large.
 */
export function readDocument(text: string, name: string, base: string | undefined): FeedDocument {
  if (/^\uFEFF?\s*\{/.test(text)) {
    const entries = readJsonFeed(text, base)
    if (entries === undefined) throw new Error(`${name} is not a JSON Feed: expected an object with "items".`)
    expectFew(entries.length, name)
    return { entries, pages: [], sitemaps: [] }
  }
  const found: FeedDocument = { entries: [], pages: [], sitemaps: [] }
  const { root, isComplete } = readXml(text, {
    base,
    entries: ENTRIES,
    onEntry(entry) {
      expectFew(found.entries.length + found.pages.length + found.sitemaps.length + 1, name)
      if (entry.name === 'item') found.entries.push(readItem(entry))
      else if (entry.name === 'atom:entry') found.entries.push(readAtomEntry(entry))
      else if (entry.name === 'url') found.pages.push(readSitemapUrl(entry))
      else found.sitemaps.push(resolveAddress(textOf(entry, 'loc'), base) ?? '')
    },
  })
  if (/^(?:xhtml:)?html$/.test(root?.name ?? '') || /^\s*<!doctype html/i.test(text)) throw isHtml(text, name, base)
  if (!KINDS.has(root?.name ?? ''))
    throw new Error(
      `${name} is no feed: expected RSS, Atom, a JSON Feed or a sitemap${root === undefined ? '' : `, got <${root.name}>`}.`,
    )
  if (!isComplete) throw new Error(`${name} is truncated: expected </${root?.name}> at its end. Nothing was changed.`)
  return found
}

const KINDS = new Set(['rss', 'rdf:rdf', 'atom:feed', 'urlset', 'sitemapindex'])

function expectFew(count: number, name: string): void {
  if (count > MAX_ENTRIES)
    throw new Error(`${name} has more than ${plural(MAX_ENTRIES, 'entry', 'entries')}: import its parts one by one.`)
}

function isHtml(text: string, name: string, base: string | undefined): Error {
  const feeds = feedsInHtml(text, base)
  const advice =
    feeds.length === 0
      ? 'It names no feed: look for one in the settings of its generator, or import its sitemap.xml.'
      : `It names ${plural(feeds.length, 'feed')}: ${feeds.slice(0, 5).join(' ')}`
  return new Error(`${name} is an HTML page, expected a feed. ${advice}`)
}
