import { createHash } from 'node:crypto'
import type { FeedPost } from '../../db/feed-posts.ts'
import { canBeSlug } from '../../db/logged-posts.ts'
import { type PostPattern, requestedPost } from '../import-log/slug.ts'
import { parseDate } from './dates.ts'
import { excerptOf, nameOf, type Picture, pictureInHtml, textOfHtml, titleOf } from './text.ts'

/** What an entry of any format says about a post. Texts are plain. */
export interface Entry {
  /** The full address of the post; `undefined`: the entry has none. */
  link: string | undefined
  /** The id in the feed, if it is more than the link. */
  id?: string | undefined
  /** Empty: none. */
  title: string
  /** HTML. */
  summary?: string | undefined
  /** HTML. */
  content?: string | undefined
  published?: string | undefined
  /** The last change, for posts that are new here and have no other date. */
  changed?: string | undefined
  author?: string | undefined
  categories?: readonly string[]
  tags?: readonly string[]
  picture?: Picture | undefined
  language?: string | undefined
}

/** The most categories, and the most tags, of a post. */
const MAX_NAMES = 20
/** Tracks readers of the feed; the address of the post is without it. */
const TRACKING = /^utm_/
const LANGUAGE = /^[a-z]{2,3}(?:-[a-z0-9]{2,8})*$/i

/**
 * Turns an entry into a post.
 * @param pattern which paths are posts, and their slugs: see `requestedPost`.
 * @returns `undefined`: its link is missing, or names no post.
 */
export function toFeedPost(entry: Entry, pattern: PostPattern | undefined): FeedPost | undefined {
  if (entry.link === undefined) return undefined
  const url = cleaned(entry.link)
  const slug = requestedPost(url, pattern)?.slug
  if (slug === undefined || !canBeSlug(slug)) return undefined
  const { content, summary = content, picture, language } = entry
  const excerpt = summary === undefined ? undefined : excerptOf(textOfHtml(summary))
  return {
    slug,
    url,
    id: entry.id === undefined || entry.id === entry.link ? undefined : keyOf(entry.id, url),
    title: entry.title === '' ? excerpt && titleOf(excerpt.slice(0, 80)) : entry.title,
    excerpt,
    publishedAt: parseDate(entry.published),
    changedAt: parseDate(entry.changed),
    author: entry.author === undefined ? undefined : nameOf(entry.author),
    categories: namesOf(entry.categories),
    tags: namesOf(entry.tags),
    image: picture ?? pictureInHtml(content ?? summary ?? '', url),
    language: LANGUAGE.test(language ?? '') ? language : undefined,
  }
}

/** The address without fragment and without parameters that track readers. */
function cleaned(link: string): string {
  const url = new URL(link)
  url.hash = ''
  for (const name of [...url.searchParams.keys()]) if (TRACKING.test(name)) url.searchParams.delete(name)
  return url.href
}

/** Ids are unique in their feed only, so the key has the host of the post. */
function keyOf(id: string, url: string): string {
  return createHash('sha256')
    .update(`${new URL(url).host} ${id}`)
    .digest('hex')
}

/** The different names; those of one slug are one. */
function namesOf(texts: readonly string[] = []): string[] {
  const names = texts.map(nameOf).filter((name) => name !== '')
  return [...new Set(names)].slice(0, MAX_NAMES)
}
