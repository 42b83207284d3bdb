import { MAX_COUNT } from '../../db/count-views.ts'
import { urlOfPath } from '../import-log/paths.ts'
import { type PostPattern, requestedPost } from '../import-log/slug.ts'
import type { Calendar, Moment } from './days.ts'
import type { Format } from './formats.ts'
import type { Fields } from './unfold.ts'

/** The views of a post that a row of an export has. */
export interface CountedRow {
  kind: 'count'
  /** The slug of the post, or its id in the system that exported it. */
  post: { slug: string } | { id: string }
  /** The address on the blog; `undefined`: the export has no paths. */
  url: string | undefined
  /** The day, `YYYY-MM-DD`; `undefined`: a total of all time. */
  day: string | undefined
  timeMs: number | undefined
  views: bigint
  heat: number | undefined
}

/**
 * `other`: the row has no views of a post. `broken`: it cannot be read. `future`: its day has not begun. `after`: its day is not before the
 * one of `--before`, or it has no day.
 */
export type Row = CountedRow | { kind: 'other' | 'future' | 'after' } | { kind: 'broken'; problem: string }

/** What the values of rows mean. */
export interface RowOptions {
  post: PostPattern | undefined
  calendar: Calendar
  /** Today, in the site's time zone. */
  today: string
  /** The first day that does not count; `undefined`: all days count. */
  before: string | undefined
}

/** The web is younger. Days before it are those of zeros and of numbers that are no dates. */
const FIRST_DAY = '1990-01-01'
const NUMBER = /^(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.0+)?$/
const ZERO_DATE = /^0000-00-00/

/** Reads a row of an export. */
export function readRow(fields: Fields, format: Format, options: RowOptions): Row {
  const { calendar, today, before } = options
  const field = (columns: readonly string[] = []): string =>
    columns.map((column) => (fields[column] ?? '').trim()).find((text) => text !== '') ?? ''
  if (format.keeps?.(fields) === false) return { kind: 'other' }
  const [path, query] = [field(format.path), field(format.query)]
  const address = path === '' || query === '' ? path : `${path}?${query}`
  const named = postOf(field(format.slug), address, field(format.id), options.post)
  if (named === undefined) return { kind: 'other' }
  const number = format.views === undefined ? '1' : field(format.views)
  if (!NUMBER.test(number)) return broken(`expected a number of views, got "${number}"`)
  const views = BigInt(number.replace(/\.0+$/, '').replaceAll(',', ''))
  if (views > MAX_COUNT) return broken(`expected at most ${MAX_COUNT} views, got ${number}`)
  const moment = momentOf(field(format.day), field(format.time), format, calendar)
  if (moment === 'broken')
    return broken(`expected a day such as 2026-01-31, got "${field(format.day) || field(format.time)}"`)
  const day = moment?.day
  if (day !== undefined && day < FIRST_DAY) return broken(`expected a day since ${FIRST_DAY}, got ${day}`)
  if (day !== undefined && day > today) return { kind: 'future' }
  if (before !== undefined && (day === undefined || day >= before)) return { kind: 'after' }
  const hour = field(format.hour)
  const heat = field(format.heat)
  return {
    kind: 'count',
    ...named,
    day,
    timeMs: hour === '' ? moment?.timeMs : calendar.readTime(hour, true)?.timeMs,
    views,
    heat: heat !== '' && Number.isFinite(Number(heat)) ? Number(heat) : undefined,
  }
}

function broken(problem: string): Row {
  return { kind: 'broken', problem }
}

/** @returns `undefined`: the row has a total. */
function momentOf(day: string, time: string, format: Format, calendar: Calendar): Moment | 'broken' | undefined {
  if (day !== '' && day !== 'total' && !ZERO_DATE.test(day)) return calendar.readDay(day, format.isUtc) ?? 'broken'
  if (time !== '') return calendar.readTime(time, format.isUtc) ?? calendar.readDay(time, format.isUtc) ?? 'broken'
  if (ZERO_DATE.test(day)) return 'broken'
  // A view without a time is not a total.
  return format.views === undefined ? 'broken' : undefined
}

/** @returns `undefined`: the row names no post. */
function postOf(
  slug: string,
  path: string,
  id: string,
  pattern: PostPattern | undefined,
): Pick<CountedRow, 'post' | 'url'> | undefined {
  if (slug !== '') return { post: { slug }, url: undefined }
  if (path !== '') {
    const found = requestedPost(targetOf(path), pattern)
    return found && { post: { slug: found.slug }, url: urlOfPath(found.path) + found.query }
  }
  // 0 is the id of pages that are no posts.
  return id === '' || id === '0' ? undefined : { post: { id }, url: undefined }
}

/** An address with its scheme, with its host only, or a path with or without its first slash. */
function targetOf(path: string): string {
  if (path.startsWith('/') || /^[a-z][a-z\d+.-]*:\/\//i.test(path)) return path
  const [, target = `/${path}`] = /^[\w-]+(?:\.[\w-]+)+(?::\d+)?(\/.*)$/s.exec(path) ?? []
  return target
}
