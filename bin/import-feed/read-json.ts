import type { Entry } from './feed-post.ts'
import { titleOf } from './text.ts'
import { resolveAddress } from './xml.ts'

/** An object of JSON from elsewhere. */
type Unknown = Readonly<Record<string, unknown>>

/**
 * Reads a JSON Feed, 1.0 or 1.1.
 * @param base the address of the document.
 * @returns its items; `undefined`: it is no JSON Feed.
 */
export function readJsonFeed(text: string, base: string | undefined): Entry[] | undefined {
  const feed = objectOf(parse(text))
  const items = feed['items']
  if (!Array.isArray(items)) return undefined
  const site =
    resolveAddress(textIn(feed, 'home_page_url'), base) ?? resolveAddress(textIn(feed, 'feed_url'), base) ?? base
  return items.map(objectOf).map((item) => {
    const id = textIn(item, 'id')
    const picture = resolveAddress(textIn(item, 'image') ?? textIn(item, 'banner_image'), site)
    const plain = textIn(item, 'content_text')
    const summary = textIn(item, 'summary')
    return {
      link: resolveAddress(textIn(item, 'url') ?? (URL.canParse(id ?? '') ? id : undefined), site),
      id,
      title: titleOf(textIn(item, 'title') ?? ''),
      summary: summary && escaped(summary),
      content: textIn(item, 'content_html') ?? (plain && escaped(plain)),
      published: textIn(item, 'date_published'),
      changed: textIn(item, 'date_modified'),
      author: authorOf(item) ?? authorOf(feed),
      tags: listIn(item, 'tags').filter((tag) => typeof tag === 'string'),
      picture: picture === undefined ? undefined : { url: picture },
      language: textIn(item, 'language') ?? textIn(feed, 'language'),
    }
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Unknown {
  return typeof value === 'object' && value !== null ? (value as Unknown) : {}
}

function listIn(object: Unknown, name: string): unknown[] {
  const value = object[name]
  return Array.isArray(value) ? value : []
}

/** A text that is not empty; a number is the id of some feeds. */
function textIn(object: Unknown, name: string): string | undefined {
  const value = object[name]
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
  return text === '' ? undefined : text
}

/** The first of `authors` (1.1), or `author` (1.0). */
function authorOf(object: Unknown): string | undefined {
  return [...listIn(object, 'authors'), object['author']]
    .map((author) => textIn(objectOf(author), 'name'))
    .find(Boolean)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
