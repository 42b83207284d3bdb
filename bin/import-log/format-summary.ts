import { plural } from '../../lib/plural.ts'
import { headersOfRules } from '../../lib/request-rules.ts'
import { kindOf, showLine } from './formats/refused.ts'
import type { Summary } from './import-log.ts'
import type { PostPattern } from './slug.ts'
import type { TimeChoice } from './times.ts'
import { LOGGED_HEADERS } from './visits.ts'

/** The options of the import and the address of the service, which the advice depends on. */
interface Circumstances {
  post: PostPattern | undefined
  createPosts: boolean
  baseUrl: string | undefined
  address: string
  /** The option `ignore`. */
  ignore: readonly string[]
  since: TimeChoice | undefined
  until: TimeChoice | undefined
  hosts: readonly string[] | undefined
  /** What a dry run found; `undefined`: it is none. */
  unmatched: Unmatched | undefined
}

/** The paths of pages that are no posts, and a value for `--post`. */
interface Unmatched {
  paths: readonly { path: string; requests: number }[]
  post: string | undefined
}

/** A summary as one line of JSON, with the names of {@link Summary}. */
export function formatJson({ stoppedBy, ...summary }: Summary, unmatched: Unmatched | undefined): string {
  return `${JSON.stringify({ ...summary, stoppedBy: stoppedBy?.message, dryRun: unmatched !== undefined, unmatched })}\n`
}

type Row = [name: string, count: number, note: string]

/** Why nothing could be counted; `undefined`: a line was read, or there is none. */
export function refusalOf({ lines, malformed, hosts, firstRefused = '' }: Summary): string | undefined {
  if (lines > malformed && hosts.withoutHost === lines - malformed)
    return '--host counted nothing: no line names its host. Let the server log the host before the address (nginx: $host, Apache: %v), or say where it is with --format.'
  if (lines === 0 || malformed < lines) return undefined
  const reason = [`No line could be read. The first is: ${showLine(firstRefused)}`, kindOf(firstRefused)]
  return `${reason.join('\n').trimEnd()}\nIf it is a line of an access log, say its format with --format: see --help.`
}

/** A summary as plain text in aligned columns, ending with a line end. */
export function formatSummary(summary: Summary, circumstances: Circumstances): string {
  const { postsCreated, postsLinked, withoutAgent } = summary
  const made = [
    ...(postsCreated === 0 ? [] : [`${plural(postsCreated, 'new post was', 'new posts were')} created`]),
    ...(postsLinked === 0 ? [] : [`${plural(postsLinked, 'post now links', 'posts now link')} to the blog`]),
  ].join(', ')
  const agents =
    withoutAgent === 0
      ? ''
      : `${plural(withoutAgent, 'line has', 'lines have')} no user agent: bots cannot be recognised`
  const rows: Row[] = [
    ['lines read', summary.lines, ''],
    ['views counted', summary.viewsCounted, made],
    ['counted before', summary.viewsCountedBefore, 'by an earlier import of this log'],
    ['bots', summary.bots, agents],
    ...(circumstances.ignore.length === 0 ? [] : [ignoredRow(summary, circumstances)]),
    ...(circumstances.since === undefined && circumstances.until === undefined
      ? []
      : [['outside', summary.outside, 'by --since and --until'] satisfies Row]),
    ...(circumstances.hosts === undefined ? [] : [otherHostsRow(summary)]),
    ['repeats', summary.repeats, 'the same visitor on the same post, too soon'],
    ['unknown', summary.unknown, 'there are no posts with their slugs'],
    ['other requests', summary.other, 'not a GET with status 200 or 304 of a path of a post'],
    ['malformed', summary.malformed, 'lines in another format'],
  ]
  const table = align(
    rows.map(([name, count, note]) => [name, count, count > 0 || note === agents || note === made ? note : '']),
  )
  const top = align(summary.top.map(({ slug, title, views }) => [printable(nameOf(slug, title)), views, '']))
  const blocks = [
    table,
    top.length === 0 ? [] : ['The most viewed posts of this import:', ...top.map((line) => `  ${line}`)],
    pagesOf(circumstances),
    advice(summary, circumstances),
  ]
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

function pagesOf({ unmatched }: Circumstances): string[] {
  if (unmatched === undefined || unmatched.paths.length === 0) return []
  const paths = align(unmatched.paths.map(({ path, requests }) => [printable(path), requests, '']))
  return ['The most requested pages that are no posts:', ...paths.map((line) => `  ${line}`)]
}

function ignoredRow({ ignored }: Summary, { ignore }: Circumstances): Row {
  const missing = headersOfRules(ignore).filter((name) => !LOGGED_HEADERS.includes(name))
  const note = missing.length === 0 ? '' : `; a log does not have the header ${missing.join(', ')}`
  return ['ignored', ignored, `by IGNORE${note}`]
}

function otherHostsRow({ otherHosts, hosts }: Summary): Row {
  const names = hosts.top.map(({ host, requests }) => `${showLine(host)} (${number(requests)})`)
  const without = hosts.withoutHost === 0 ? [] : [`${plural(hosts.withoutHost, 'line names', 'lines name')} no host`]
  return ['other hosts', otherHosts, [...names, ...without].join(', ')]
}

/** What to do next. */
function advice(summary: Summary, circumstances: Circumstances): string[] {
  const { post, createPosts, baseUrl, address, unmatched } = circumstances
  const { viewsCounted, viewsCountedBefore, unknown, lines, malformed, postsCreated, proxies } = summary
  if (lines > 0 && malformed === lines) return []
  const advice: string[] = []
  if (summary.firstRefused !== undefined) {
    advice.push(
      `The first malformed line: ${[showLine(summary.firstRefused), kindOf(summary.firstRefused)].join(' ').trimEnd()}`,
    )
  }
  if (proxies.length > 0) {
    advice.push(
      `All requests come from ${proxies.map(showLine).join(', ')}: if that is a proxy, its readers are counted as one. Let the server`,
      'log the address of the reader (nginx: real_ip, Apache: mod_remoteip), or name the field that has it with --format.',
    )
  }
  if (viewsCounted === 0 && viewsCountedBefore > 0) {
    advice.push('This log was imported before: nothing was counted twice.')
  }
  if (unknown > 0 && !createPosts) {
    advice.push(
      post === undefined
        ? 'Name the paths of posts with --post, such as --post /blog/, and create missing posts with --create-posts.'
        : `Add --create-posts to create posts for the slugs of ${plural(unknown, 'unknown view')}.`,
    )
  }
  if (post !== undefined && lines > 0 && viewsCounted + viewsCountedBefore + unknown === 0) {
    advice.push(
      "No request matches --post: compare --post with the paths in the log (for addresses like /?p=123: --post '/?p=').",
    )
  }
  if (postsCreated > 0 && baseUrl === undefined && unmatched === undefined) {
    advice.push(
      'The new posts link to pages of the service. To link them to the blog, import again with --base-url, such as',
      '--base-url https://blog.example: no view is counted twice.',
    )
  }
  if (unmatched !== undefined) {
    if (unmatched.post !== undefined) advice.push(suggestion(printable(unmatched.post)))
    return [...advice, 'This was a dry run: nothing was changed.']
  }
  if (summary.importId !== undefined) {
    advice.push(`To take the views of this import back: popular-posts import-log --undo ${summary.importId}`)
  }
  if (viewsCounted + viewsCountedBefore > 0) {
    advice.push(`Try next, while the service runs: open ${address}, or curl '${address}/posts/popular?limit=5&days=0'`)
  }
  return advice
}

function suggestion(post: string): string {
  return post.endsWith('=')
    ? `A parameter seems to name most posts: --post '${post}'`
    : `Most posts seem to be in one folder: --post ${post}`
}

function nameOf(slug: string, title: string): string {
  return title === slug ? slug : `${title} (${slug})`
}

/** Removes control characters: a title must not control the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}

function number(count: number): string {
  return count.toLocaleString('en-US')
}

/** Aligns names to the left and counts to the right; notes follow. */
function align(rows: readonly (readonly [name: string, count: number, note: string])[]): string[] {
  const nameWidth = Math.max(...rows.map(([name]) => name.length))
  const countWidth = Math.max(...rows.map(([, count]) => number(count).length))
  return rows.map(([name, count, note]) =>
    `${name.padEnd(nameWidth)}  ${number(count).padStart(countWidth)}   ${note}`.trimEnd(),
  )
}
