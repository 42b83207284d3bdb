import type { Summary } from './import-log.ts'

/** A summary as plain text of aligned columns, ending in a line end. */
export function formatSummary(summary: Summary, { hasPattern = false, createsPosts = false } = {}): string {
  const made = summary.postsCreated === 0 ? '' : `${number(summary.postsCreated)} new posts were made`
  const agents =
    summary.withoutAgent === 0 ? '' : `${number(summary.withoutAgent)} lines name no user agent: bots cannot be told`
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
  const table = align(rows.map(([name, count, note]) => [name, count, count > 0 || note === agents ? note : '']))
  const top = align(summary.top.map(({ slug, title, views }) => [printable(nameOf(slug, title)), views, '']))
  const blocks = [
    table,
    top.length === 0 ? [] : ['The most viewed posts of this import:', ...top.map((line) => `  ${line}`)],
    advice(summary, hasPattern, createsPosts),
  ]
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

function advice(summary: Summary, hasPattern: boolean, createsPosts: boolean): string[] {
  const { viewsCounted, viewsCountedBefore, unknown, lines, malformed } = summary
  if (lines > 0 && malformed === lines) {
    return ['No line is a log line. Expected the combined log format of Apache and nginx, plain or gzip.']
  }
  const advice: string[] = []
  if (viewsCounted === 0 && viewsCountedBefore > 0) {
    advice.push('This log was imported before: nothing was counted twice.')
  }
  if (unknown > 0 && !createsPosts) {
    advice.push(
      hasPattern
        ? `Add --create-posts to make posts of the ${number(unknown)} unknown views' slugs.`
        : "Say which paths are posts with --post '^/blog/(?<slug>[^/]+)$', and make new ones with --create-posts.",
    )
  }
  if (viewsCounted > 0) advice.push('Try next: GET /posts/popular?days=0')
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
