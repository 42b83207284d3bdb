import type { Kysely, Transaction } from 'kysely'
import { type ChunkOutcome, importChunk, type LoggedView } from '../../db/log-imports.ts'
import { findTitles } from '../../db/logged-posts.ts'
import type { Database } from '../../db/schema.ts'
import { firstChunk } from './chunks.ts'
import { isClosedLine, parseLine } from './parse-line.ts'
import { urlOfPath } from './paths.ts'
import { type LogLine, readLines } from './read-lines.ts'
import type { PostPattern } from './slug.ts'
import { createVisits } from './visits.ts'

export interface ImportLogOptions {
  db: Kysely<Database>
  /** The site's IANA time zone: decides the day that a view belongs to. */
  timeZone: string
  /** For how long a visitor's view of a post makes further ones repeats. */
  dedupSeconds: number
  /** The present, in milliseconds since the epoch. */
  nowMs: number
  /** The log: plain or gzip, a stream or anything else that hands out pieces. */
  input: AsyncIterable<Uint8Array | string>
  /** Which paths are posts. Default: the last part of the path, without `.html`, is a slug. */
  post?: PostPattern | undefined
  /** Whether slugs that are no posts yet become posts. Default: no. */
  createPosts?: boolean | undefined
  /** See `PostCreation`. */
  baseUrl?: string | undefined
  /** Called at most once, in the transaction in which the first post is made or linked, before that. */
  beforeCreatingPosts?: ((trx: Transaction<Database>) => Promise<void>) | undefined
  /** Called after each piece that was read. Bytes are counted before unpacking. */
  onProgress?: ((progress: { bytes: number; lines: number }) => void) | undefined
  /**
   * How many lines one transaction counts. Default 10,000, and for tests only: a log that is imported again in chunks of
   * another size is not recognised.
   */
  chunkLines?: number | undefined
}

/** What became of the lines: `lines` is the sum of all counts from `viewsCounted` to `malformed`. */
export interface Summary {
  /** Lines read; empty ones are not counted. */
  lines: number
  viewsCounted: number
  /** Views that an import before this one counted. */
  viewsCountedBefore: number
  /** Requests for posts by bots, or without a user agent. */
  bots: number
  /** What a visitor asked for again, too soon to be a new view. */
  repeats: number
  /** Views of slugs that are no posts. */
  unknown: number
  /** Other methods, other answers, and paths that name no post. */
  other: number
  /** Lines that are no log lines. */
  malformed: number
  /** Requests whose log has no user agents: bots among them cannot be told, and may be among the views. */
  withoutAgent: number
  postsCreated: number
  /** Posts of earlier imports that have got a whole URL now. */
  postsLinked: number
  /** The ten posts with the most views counted by this import. */
  top: { slug: string; title: string; views: number }[]
  /** Why reading ended before the end of the log; what was read until then has been counted. */
  stoppedBy: Error | undefined
}

/**
 * Counts the views that an access log tells of, each exactly once, however often the log is imported. Memory does not
 * grow with the log; a process killed at any moment leaves whole chunks counted, and running it again counts the rest.
 * @returns also when the log cannot be read to its end: see {@link Summary.stoppedBy}.
 * @throws what PostgreSQL answered; the chunks before have been counted, and an import run again goes on from there.
 */
export async function importLog(options: ImportLogOptions): Promise<Summary> {
  const { db, timeZone, dedupSeconds, nowMs, input, post, onProgress = () => {}, chunkLines = 10_000 } = options
  const tally = { lines: 0, bots: 0, repeats: 0, other: 0, malformed: 0, withoutAgent: 0 }
  const total: ChunkOutcome = { counted: new Map(), countedBefore: 0, unknown: 0, created: 0, linked: 0 }
  const visits = createVisits({ dedupSeconds, post })
  const createPosts =
    options.createPosts === true ? { before: once(options.beforeCreatingPosts), baseUrl: options.baseUrl } : undefined
  let chunk = firstChunk(chunkLines)
  let views: LoggedView[] = []
  let bytes = 0

  function read({ bytes: lineBytes, isTooLong, isEnded }: LogLine): void {
    const line = lineBytes.toString('utf8')
    const isHalf = !isEnded && (isTooLong || !isClosedLine(line))
    // Half a line is not part of the log yet: when it has been written to its end, the digests of the log would differ.
    if (!isHalf) chunk.add(lineBytes)
    if (line.trim() === '') return
    tally.lines++
    const request = isTooLong || isHalf ? undefined : parseLine(line)
    if (request === undefined) {
      tally.malformed++
      return
    }
    if (request.userAgent === undefined) tally.withoutAgent++
    const verdict = visits.judge(request)
    if (verdict.kind === 'view') {
      const { slug, path } = verdict
      views.push({ line: chunk.lines - 1, slug, url: urlOfPath(path), timeMs: request.timeMs })
    } else {
      tally[KINDS[verdict.kind]]++
    }
  }

  async function count(): Promise<void> {
    addOutcome(total, await importChunk(db, { chunk, views, timeZone, nowMs, createPosts }))
    chunk = chunk.next()
    views = []
  }

  const batches = readLines(input, (count) => {
    bytes += count
  })
  const stoppedBy = await forEachUntilError(batches, async (lines) => {
    for (const line of lines) {
      read(line)
      if (chunk.isFull()) await count()
    }
    onProgress({ bytes, lines: tally.lines })
  })
  await count()

  const { created: postsCreated, linked: postsLinked, countedBefore: viewsCountedBefore, unknown } = total
  const viewsCounted = [...total.counted.values()].reduce((sum, some) => sum + some, 0)
  const top = await topTen(db, total.counted)
  return { ...tally, viewsCounted, viewsCountedBefore, unknown, postsCreated, postsLinked, top, stoppedBy }
}

const KINDS = { bot: 'bots', repeat: 'repeats', other: 'other' } as const

/** Keeps apart the errors of the source, which are returned, and those of `each`, which are thrown. */
async function forEachUntilError<T>(
  source: AsyncGenerator<T, void>,
  each: (item: T) => Promise<void>,
): Promise<Error | undefined> {
  try {
    for (;;) {
      const next = await source.next().catch(toError)
      if (next instanceof Error) return next
      if (next.done === true) return undefined
      await each(next.value)
    }
  } finally {
    await source.return()
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

function addOutcome(total: ChunkOutcome, { counted, countedBefore, unknown, created, linked }: ChunkOutcome): void {
  for (const [slug, views] of counted) total.counted.set(slug, (total.counted.get(slug) ?? 0) + views)
  total.countedBefore += countedBefore
  total.unknown += unknown
  total.created += created
  total.linked += linked
}

async function topTen(db: Kysely<Database>, counted: ReadonlyMap<string, number>): Promise<Summary['top']> {
  const top = [...counted].sort(([a, viewsA], [b, viewsB]) => viewsB - viewsA || (a < b ? -1 : 1)).slice(0, 10)
  const slugs = top.map(([slug]) => slug)
  const titles = await findTitles(db, slugs)
  return top.map(([slug, views]) => ({ slug, title: titles.get(slug) ?? slug, views }))
}

function once(
  hook: ((trx: Transaction<Database>) => Promise<void>) | undefined,
): (trx: Transaction<Database>) => Promise<void> {
  let wasCalled = false
  return async (trx) => {
    if (wasCalled) return
    wasCalled = true
    await hook?.(trx)
  }
}
