import { plural } from '../../lib/plural.ts'
import type { ImportedCounts } from './import-counts.ts'

/** What the advice depends on. */
interface Circumstances {
  /** Whether the paths of posts were given. */
  hasPattern: boolean
  createPosts: boolean
  /** The address of the service. */
  address: string
}

/** A summary as plain text in aligned columns, ending with a line end. */
export function formatImport(imported: ImportedCounts, circumstances: Circumstances): string {
  const { outcome, topUnknown, top } = imported
  const heading = outcome === 'dry run' ? ['Nothing was changed (--dry-run). An import would do this:'] : []
  const counted = outcome === 'refused' || outcome === 'nothing new' ? [] : top
  const blocks = [
    [...heading, ...align(rows(imported))],
    named(
      'The posts with the most views of this import:',
      counted.map(({ slug, title, views }) => [nameOf(slug, title), views]),
    ),
    named(
      'Not in the database, with the most views:',
      topUnknown.map(({ name, views }) => [name, views]),
    ),
    advice(imported, circumstances),
  ]
  return `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

/** What is wrong with an import that was refused. */
export function describeOverlap({ overlap, source }: ImportedCounts): string {
  const { days, views, otherViews, first, last } = overlap
  return `Nothing was counted: on ${plural(days, 'day')} of posts from ${first} to ${last} the export has ${number(views)} views, and the database has ${number(otherViews)} of its own or of another source than ${source}. Readers that both have counted would count twice. Leave these days out with --before ${first}, or add the views with --anyway.`
}

type Cell = readonly [name: string, count: number | bigint, note?: string]

function rows(imported: ImportedCounts): Cell[] {
  const { exported, unknown, views, undated, posts, firstDay, lastDay, outcome } = imported
  const isCounted = outcome === 'counted' || outcome === 'dry run'
  const days = firstDay === undefined ? '' : `, ${firstDay} to ${lastDay}`
  const known = exported - unknown - (outcome === 'refused' ? 0n : views)
  const optional: Cell[] = [
    ['without a day', isCounted ? undated : 0n, 'in lists of all time only'],
    ['unknown posts', unknown, 'there are no posts with their slugs'],
    ['other rows', imported.others, 'without views of a post'],
    ['left out', imported.after, 'not before the day of --before, or without a day'],
    ['future', imported.future, 'their day has not begun: import a later export'],
    ['broken rows', imported.broken, `${imported.firstBroken}`],
  ]
  return [
    ['source', imported.rows, `rows of ${imported.source}${days}`],
    [
      'views counted',
      isCounted ? views : 0n,
      isCounted && posts > 0 ? `of ${plural(posts, 'post')}${createdNote(imported)}` : '',
    ],
    ...(known > 0n ? [['counted before', known, 'an earlier export of this source has as many'] as const] : []),
    ...optional.filter(([, count]) => count > 0),
  ]
}

function createdNote({ postsCreated }: ImportedCounts): string {
  return postsCreated === 0 ? '' : `, ${plural(postsCreated, 'new post')}`
}

/** What to do next. */
function advice(imported: ImportedCounts, { hasPattern, createPosts, address }: Circumstances): string[] {
  const { outcome, source, id, unknown, addedTotals, views } = imported
  const lines: string[] = []
  if (addedTotals > 0 && outcome !== 'refused')
    lines.push(
      `${plural(addedTotals, 'post has', 'posts have')} a total in the export and other views in the database: they are added. Undo the import if both have counted the same readers.`,
    )
  if (unknown > 0n && !createPosts)
    lines.push(
      hasPattern
        ? 'Create the missing posts with --create-posts.'
        : 'Name the paths of posts with --post, such as --post /blog/, and create missing posts with --create-posts.',
    )
  if (outcome === 'nothing new')
    lines.push(`Nothing is new: an export of another counter than ${source} needs a --source of its own.`)
  if (outcome === 'counted') {
    lines.push(`This is import ${id}. To take it back: popular-posts import-counts --undo ${id}`)
    if (views > 0n)
      lines.push(`Try next, while the service runs: open ${address}, or curl '${address}/posts/popular?limit=5&days=0'`)
  }
  return lines
}

function named(heading: string, cells: readonly Cell[]): string[] {
  return cells.length === 0 ? [] : [heading, ...align(cells).map((line) => `  ${line}`)]
}

function nameOf(slug: string, title: string): string {
  return title === slug ? slug : `${title} (${slug})`
}

/** Without control characters: a title must not control the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}

function number(count: number | bigint): string {
  return count.toLocaleString('en-US')
}

function align(cells: readonly Cell[]): string[] {
  const names = cells.map(([name]) => printable(name))
  const nameWidth = Math.max(...names.map((name) => name.length))
  const countWidth = Math.max(...cells.map(([, count]) => number(count).length))
  return cells.map(([, count, note = ''], index) =>
    `${names[index]?.padEnd(nameWidth)}  ${number(count).padStart(countWidth)}   ${printable(note)}`.trimEnd(),
  )
}
