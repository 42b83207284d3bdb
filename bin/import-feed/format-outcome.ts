import type { FeedOutcome } from '../../db/feed-posts.ts'
import { plural } from '../../lib/plural.ts'
import type { CollectedPosts } from './collect-posts.ts'

/** The most slugs that the text names. */
const MAX_NAMED = 5

/**
 * What an import has done, as text that ends with a line end.
 * @param outcome `undefined`: there was no post to import.
 * @param address of the service.
 */
export function formatOutcome(
  { others, sharedSlugs }: Omit<CollectedPosts, 'posts'>,
  outcome: FeedOutcome | undefined,
  address: string,
): string {
  const lines = [...(outcome === undefined ? ['Nothing changed: no entry is a post.'] : summary(outcome))]
  if (others > 0)
    lines.push(
      `${plural(others, 'entry was', 'entries were')} left out: without a link to a post. Check --post, and --base-url for relative links.`,
    )
  const shared = [...new Set([...sharedSlugs, ...(outcome?.takenSlugs ?? [])])]
  if (shared.length > 0)
    lines.push(
      `${plural(shared.length, 'slug belongs', 'slugs belong')} to more than one post, and views count for the first: ${named(shared)}. A longer slug tells them apart: --post '^/(?<slug>.+?)/?$'.`,
    )
  if ((outcome?.created ?? 0) > 0)
    lines.push(`Try next, while the service runs: open ${address}, or curl '${address}/posts/popular?limit=5&days=0'`)
  return `${lines.join('\n')}\n`
}

function summary({ created, changed, renamed, unchanged }: FeedOutcome): string[] {
  if (created + changed === 0) return [`Nothing changed: ${plural(unchanged, 'post is', 'posts are')} up to date.`]
  const renames = renamed === 0 ? '' : ` (${renamed} with a new slug)`
  return [`${plural(created, 'post')} created, ${changed} changed${renames}, ${unchanged} up to date.`]
}

/** Slugs are of a feed: without control characters, because text must not control the terminal. */
function named(slugs: readonly string[]): string {
  const more = slugs.length > MAX_NAMED ? ', …' : ''
  return (
    slugs
      .slice(0, MAX_NAMED)
      .join(', ')
      .replace(/\p{Cc}/gu, ' ') + more
  )
}
