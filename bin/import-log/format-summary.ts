import { plural } from '../../lib/plural.ts'
import type { Summary } from './import-log.ts'
import type { PostPattern } from './slug.ts'

/** How the log was imported, and where the service answers: what the next step depends on. */
interface Circumstances {
  post: PostPattern | undefined
  createPosts: boolean
  baseUrl: string | undefined
  address: string
}

/** A summary as plain text of aligned columns, ending in a line end. */
export function formatSummary(summary: Summary, circumstances: Circumstances): string {
  const { postsCreated, postsLinked, withoutAgent } = summary
  const made = [
    ...(postsCreated === 0 ? [] : [`${plural(postsCreated, 'new post was', 'new posts were')} made`]),
    ...(postsLinked === 0 ? [] : [`${plural(postsLinked, 'post links', 'posts link')} to the blog now`]),
  ].join(', ')
  const agents =
    withoutAgent === 0
      ? ''
      : `${plural(withoutAgent, 'line names', 'lines name')} no user agent: bots cannot be recognised`
  const rows: [string, number, string][] = [
    ['lines read', summary.lines, ''],
    ['views counted', summary.viewsCounted, made],
    ['counted before', summary.viewsCountedBefore, 'by an earlier import of this log'],
    ['bots', summary.bots, agents],
    ['repeats', summary.repeats, 'the same visitor on the same post, too soon'],
    ['unknown', summary.unknown, 'their slugs are no posts'],
    ['other requests', summary.other, 'not a GET answered 200 or 304 of a path that can be a post'],
    ['malformed', summary.malformed, 'no log lines'],
  ]
  const table = align(
    rows.map(([name, count, note]) => [name, count, count > 0 || note === agents || note === made ? note : '']),
  )
  const top = align(summary.top.map(({ slug, title, views }) => [printable(nameOf(slug, title)), views, '']))
  const blocks = [
    table,
    top.length === 0 ? [] : ['The most viewed posts of this import:', ...top.map((line) => `  ${line}`)],
    advice(summary, circumstances),
  ]
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

/** What to do next. */
function advice(summary: Summary, { post, createPosts, baseUrl, address }: Circumstances): string[] {
  const { viewsCounted, viewsCountedBefore, unknown, lines, malformed, postsCreated } = summary
  if (lines > 0 && malformed === lines) {
    return ['No line is a log line. Expected the combined log format of Apache and nginx, plain or gzip.']
  }
  const advice: string[] = []
  if (viewsCounted === 0 && viewsCountedBefore > 0) {
    advice.push('This log was imported before: nothing was counted twice.')
  }
  if (unknown > 0 && !createPosts) {
    advice.push(
      post === undefined
        ? 'Say where the posts are with --post, such as --post /blog/, and make those that are missing with --create-posts.'
        : `Add --create-posts to make posts of the slugs of ${plural(unknown, 'unknown view')}.`,
    )
  }
  if (post !== undefined && lines > 0 && viewsCounted + viewsCountedBefore + unknown === 0) {
    advice.push('No reader asked for a path that is a post by --post: compare --post with the paths in the log.')
  }
  if (postsCreated > 0 && baseUrl === undefined) {
    advice.push(
      'Links to the new posts lead to pages of the service. To link to the blog, import again with --base-url, such as',
      '--base-url https://blog.example: no view is counted twice.',
    )
  }
  if (viewsCounted + viewsCountedBefore > 0) {
    advice.push(`Try next, while the service runs: open ${address}, or curl '${address}/posts/popular?limit=5&days=0'`)
  }
  return advice
}

function nameOf(slug: string, title: string): string {
  return title === slug ? slug : `${title} (${slug})`
}

/** Titles come from anywhere: a terminal must not obey them. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}

function number(count: number): string {
  return count.toLocaleString('en-US')
}

/** Names to the left, counts to the right, notes behind. */
function align(rows: readonly (readonly [name: string, count: number, note: string])[]): string[] {
  const nameWidth = Math.max(...rows.map(([name]) => name.length))
  const countWidth = Math.max(...rows.map(([, count]) => number(count).length))
  return rows.map(([name, count, note]) =>
    `${name.padEnd(nameWidth)}  ${number(count).padStart(countWidth)}   ${note}`.trimEnd(),
  )
}
