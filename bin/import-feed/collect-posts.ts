import type { FeedPost } from '../../db/feed-posts.ts'
import { plural } from '../../lib/plural.ts'
import { pathOf } from '../import-log/paths.ts'
import type { PostPattern } from '../import-log/slug.ts'
import { type Entry, toFeedPost } from './feed-post.ts'
import { fetchDocument, type Source, sourceOf } from './fetch-document.ts'
import { MAX_ENTRIES, readDocument } from './read-document.ts'
import type { SitemapEntry } from './read-sitemap.ts'

/** Options of {@link collectPosts}. */
export interface CollectOptions {
  /** The address, or the path of a file. */
  source: string
  /** Which paths are posts. Default: all of a feed, and none of a sitemap. */
  post: PostPattern | undefined
  /** The address of the blog, for relative links in a file. */
  baseUrl: string | undefined
  /** The timeout of one document. */
  timeoutMs?: number | undefined
}

/** What a feed has. */
export interface CollectedPosts {
  /** In the order of the feed, one for each slug. */
  posts: FeedPost[]
  /** Entries without a link to a post. */
  others: number
  /** Slugs of entries that were left out, because another entry of the feed has the slug. */
  sharedSlugs: string[]
}

/** The most documents of one import. */
const MAX_DOCUMENTS = 500

/**
 * Reads the posts of a feed, or of a sitemap with the sitemaps that it names.
 * @throws an error for the user.
 */
export async function collectPosts({ source, post, baseUrl, timeoutMs }: CollectOptions): Promise<CollectedPosts> {
  const entries: Entry[] = []
  const pages: SitemapEntry[] = []
  const pending: { source: Source; from: URL | undefined }[] = [{ source: sourceOf(source), from: undefined }]
  const seen = new Set<string>()
  for (const { source, from } of pending) {
    const { text, address } = await fetchDocument(source, from, timeoutMs)
    const document = readDocument(text, source.name, address ?? baseUrl)
    entries.push(...document.entries)
    pages.push(...document.pages)
    if (entries.length + pages.length > MAX_ENTRIES)
      throw new Error(`${source.name} has more than ${plural(MAX_ENTRIES, 'page')}: import its sitemaps one by one.`)
    for (const sitemap of document.sitemaps) {
      if (seen.has(sitemap)) continue
      seen.add(sitemap)
      if (seen.size >= MAX_DOCUMENTS)
        throw new Error(`${source.name} names more than ${MAX_DOCUMENTS} sitemaps: import them one by one.`)
      pending.push({ source: childOf(sitemap, source, address), from: new URL(address ?? sitemap) })
    }
  }
  if (post === undefined && pages.some(({ isArticle }) => !isArticle)) throw needsFolder(pages)
  return unique([...entries, ...pages], post)
}

/** A sitemap may only name sitemaps of its own host. */
function childOf(sitemap: string, parent: Source, address: string | undefined): Source {
  const { host } = new URL(address ?? sitemap)
  if (sitemap === '' || new URL(sitemap).host !== host)
    throw new Error(`${parent.name} names a sitemap that is not on its own host: import that one by its address.`)
  return sourceOf(sitemap)
}

function unique(entries: readonly Entry[], pattern: PostPattern | undefined): CollectedPosts {
  const posts = new Map<string, FeedPost>()
  const sharedSlugs = new Set<string>()
  let others = 0
  for (const entry of entries) {
    const post = toFeedPost(entry, pattern)
    if (post === undefined) others++
    else if (!posts.has(post.slug)) posts.set(post.slug, post)
    // The same post twice is no problem.
    else if (posts.get(post.slug)?.url !== post.url) sharedSlugs.add(post.slug)
  }
  return { posts: [...posts.values()], others, sharedSlugs: [...sharedSlugs] }
}

/** The error that says how to choose the posts among the pages of a sitemap, with the folder of most of them. */
function needsFolder(pages: readonly Entry[]): Error {
  const counts = new Map<string, number>()
  for (const { link = '' } of pages) {
    const [, folder = '/'] = /^(\/[^/]+\/)[^/]/.exec(pathOf(link)) ?? []
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  const [[folder] = ['/']] = [...counts].toSorted(([, a], [, b]) => b - a)
  return new Error(
    `A sitemap names pages of all kinds, and does not say which are posts: add --post with the folder of the posts, such as --post ${folder}.`,
  )
}
