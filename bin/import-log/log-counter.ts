import type { Kysely, Transaction } from 'kysely'
import {
  type ChunkOutcome,
  importChunk,
  type LoggedVisit,
  type LogImport,
  noOutcome,
  readLegacyEnd,
} from '../../db/log-imports.ts'
import { findTitles } from '../../db/logged-posts.ts'
import type { Database } from '../../db/schema.ts'
import { StartupError } from '../../lib/errors.ts'
import { plural } from '../../lib/plural.ts'
import { createClients } from './clients.ts'
import { createLogReader, isClosedLine } from './formats/formats.ts'
import type { LineReader, LoggedRequest } from './formats/request.ts'
import { createHostCheck, type HostCheck } from './hosts.ts'
import { urlOfPath } from './paths.ts'
import type { LogLine } from './read-lines.ts'
import type { PostPattern } from './slug.ts'
import { createVisits } from './visits.ts'

/** How the lines of logs are counted. */
export interface LogCounterOptions {
  /** A transaction: the caller rolls it back, and no counter changes (see `importChunk`). */
  db: Kysely<Database>
  /** The site's IANA time zone: decides the day that a view belongs to. */
  timeZone: string
  /** How long after a visitor's view of a post further views are repeats. */
  dedupSeconds: number
  /** Returns the present, in milliseconds since the epoch. */
  nowMs(): number
  /** The time of the first line that counts, and of the first that does not any more, in milliseconds since the epoch. */
  sinceMs?: number | undefined
  untilMs?: number | undefined
  /** Names of hosts: only requests to them count. Default: requests to all. */
  hosts?: readonly string[] | undefined
  /** Whether lines count that an import of an earlier version may have counted. Default false. */
  anyway?: boolean | undefined
  /** Called for each request that is no visit, bot or ignored, and for each visit. */
  onRequest?: ((request: LoggedRequest, isVisit: boolean) => void) | undefined
  /** The name of the log, for people. Default `standard input`. */
  source?: string | undefined
  /** Requests whose views do not count: the option `ignore`. Default none. */
  ignore?: readonly string[] | undefined
  /** Which paths are posts. Default: the last part of the path, without `.html`, is a slug. */
  post?: PostPattern | undefined
  /** Whether posts are created for unknown slugs. Default false. */
  createPosts?: boolean | undefined
  /** See `PostCreation`. */
  baseUrl?: string | undefined
  /** Called at most once, in the transaction that creates or links the first post, before it does. */
  beforeCreatingPosts?: ((trx: Transaction<Database>) => Promise<void>) | undefined
  /** `--format`: see `createLogReader`. Default: each line is recognised. */
  format?: string | undefined
  /** How many lines one transaction counts. Default 10,000. */
  chunkLines?: number | undefined
}

/** What an import has counted: `lines` is the sum of all counts from `viewsCounted` to `malformed`. */
export interface Counts {
  /** Lines that are not empty and that are no directives, such as `#Fields:`. */
  lines: number
  viewsCounted: number
  /** Views that an earlier import counted. */
  viewsCountedBefore: number
  /** Requests for posts by bots, or without a user agent. */
  bots: number
  /** Requests for posts that match the option `ignore`. */
  ignored: number
  /** Requests that a visitor repeated too soon for a new view. */
  repeats: number
  /** Views of unknown slugs. */
  unknown: number
  /** Requests before `sinceMs`, or from `untilMs` on. */
  outside: number
  /** Requests to other hosts than `hosts`, or of lines that name no host. */
  otherHosts: number
  /** Requests with other methods, with other status codes, or of paths that are no posts. */
  other: number
  /** Lines in another format. */
  malformed: number
  /** Requests without a user agent field: bots among them cannot be recognised, and may be counted as views. */
  withoutAgent: number
  postsCreated: number
  /** Posts of earlier imports that got a full URL. */
  postsLinked: number
  /** See `HostCheck.others`. */
  hosts: ReturnType<HostCheck['others']>
  /** The id of the import in the database; `undefined`: it brought nothing new. */
  importId: string | undefined
  /** The ten posts with the most views counted by this import. */
  top: { slug: string; title: string; views: number }[]
  /** The first malformed line. */
  firstRefused: string | undefined
  /** See `createClients`. */
  proxies: string[]
}

/** Counts the lines of logs, each exactly once. */
export interface LogCounter {
  /**
   * Begins a log: a line may depend on those before it in its log. The returned function reads lines, and counts them in
   * chunks; those of the last chunk wait for {@link count}.
   * @throws the error of PostgreSQL; the chunks before it are counted.
   */
  beginLog(): (lines: readonly LogLine[]) => Promise<void>
  /** Counts the lines that wait. */
  count(): Promise<void>
  /** The number of lines so far. */
  lines(): number
  /** Whether lines were read, but none that can be counted: in another format, or without a host for `hosts`. */
  isUnreadable(): boolean
  /** Whether an earlier import had some of the visits that were counted so far. */
  hasKnown(): boolean
  counts(): Promise<Counts>
}

export async function createLogCounter(options: LogCounterOptions): Promise<LogCounter> {
  const { db, timeZone, dedupSeconds, post, chunkLines = 10_000 } = options
  const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY, onRequest = () => {} } = options
  const legacyEndMs = options.anyway === true ? undefined : await readLegacyEnd(db)
  const tally = { lines: 0, bots: 0, ignored: 0, outside: 0, otherHosts: 0, other: 0, malformed: 0, withoutAgent: 0 }
  const total = noOutcome()
  const logImport: LogImport = { id: undefined, source: options.source ?? 'standard input', overlaps: new Set() }
  const { judge } = createVisits({ post, ignore: options.ignore })
  const createPosts =
    options.createPosts === true ? { before: once(options.beforeCreatingPosts), baseUrl: options.baseUrl } : undefined
  let visits: LoggedVisit[] = []
  let linesRead = 0
  let bytesRead = 0
  const clients = createClients()
  const hostCheck = createHostCheck(options.hosts)
  let firstRefused: string | undefined

  function read({ bytes: lineBytes, isTooLong, isEnded }: LogLine, readRequest: LineReader): void {
    const line = lineBytes.toString('utf8')
    linesRead++
    bytesRead += lineBytes.length
    // The server has not written its end yet: it would be another request then.
    const isHalf = !isEnded && (isTooLong || !isClosedLine(line))
    if (line.trim() === '') return
    const request = isTooLong || isHalf ? undefined : readRequest(line)
    if (request === null) return
    tally.lines++
    if (request === undefined) {
      tally.malformed++
      firstRefused ??= line
      return
    }
    if (!hostCheck.isWanted(request)) {
      tally.otherHosts++
      return
    }
    clients.add(request.address)
    if (request.userAgent === undefined) tally.withoutAgent++
    if (request.timeMs < sinceMs || request.timeMs >= untilMs) {
      tally.outside++
      return
    }
    const verdict = judge(request)
    if (verdict.kind === 'visit' || verdict.kind === 'other') onRequest(request, verdict.kind === 'visit')
    if (verdict.kind === 'visit') {
      const { slug, path, query, visitor } = verdict
      visits.push({ slug, url: urlOfPath(path) + query, visitor, timeMs: request.timeMs })
    } else {
      tally[KINDS[verdict.kind]]++
    }
  }

  async function count(): Promise<void> {
    if (legacyEndMs !== undefined) expectNewer(visits, legacyEndMs)
    addOutcome(
      total,
      await importChunk(db, { visits, logImport, timeZone, nowMs: options.nowMs(), dedupSeconds, createPosts }),
    )
    visits = []
    linesRead = 0
    bytesRead = 0
  }

  return {
    beginLog() {
      const readRequest = createLogReader(options.format)
      return async (lines) => {
        for (const line of lines) {
          read(line, readRequest)
          if (linesRead >= chunkLines || bytesRead >= MAX_CHUNK_BYTES) await count()
        }
      }
    },
    count,
    lines: () => tally.lines,
    isUnreadable: () => tally.lines > 0 && tally.malformed + hostCheck.others().withoutHost === tally.lines,
    hasKnown: () => logImport.overlaps.size > 0,
    async counts() {
      const { created: postsCreated, linked: postsLinked, countedBefore: viewsCountedBefore, unknown, repeats } = total
      const viewsCounted = [...total.counted.values()].reduce((sum, some) => sum + some, 0)
      const top = await topTen(db, total.counted)
      const counts = { ...tally, viewsCounted, viewsCountedBefore, repeats, unknown, postsCreated, postsLinked }
      return {
        ...counts,
        importId: logImport.id,
        top,
        firstRefused,
        proxies: clients.proxies(),
        hosts: hostCheck.others(),
      }
    },
  }
}

const KINDS = { bot: 'bots', ignored: 'ignored', other: 'other' } as const

/** The greatest size of a chunk: its visits keep their lines in memory. */
const MAX_CHUNK_BYTES = 16 * 1024 * 1024

/** @throws StartupError if an earlier version may have counted some of these visits. */
function expectNewer(visits: readonly LoggedVisit[], legacyEndMs: number): void {
  const older = visits.filter(({ timeMs }) => timeMs <= legacyEndMs).length
  if (older === 0) return
  // The first millisecond that was not there when the last import ended.
  const since = new Date(legacyEndMs + 1).toISOString()
  throw new StartupError(
    `An earlier version of this package imported logs until ${new Date(legacyEndMs).toISOString()}, and did not note which requests it counted. This log has ${plural(older, 'request')} for posts until then in its next ${plural(visits.length, 'request')}, which would perhaps count twice. Import later requests only (--since ${since}), or all of them (--anyway).`,
  )
}

function addOutcome(total: ChunkOutcome, some: ChunkOutcome): void {
  const { counted, countedBefore, repeats, unknown, created, linked } = some
  for (const [slug, views] of counted) total.counted.set(slug, (total.counted.get(slug) ?? 0) + views)
  total.countedBefore += countedBefore
  total.repeats += repeats
  total.unknown += unknown
  total.created += created
  total.linked += linked
}

async function topTen(db: Kysely<Database>, counted: ReadonlyMap<string, number>): Promise<Counts['top']> {
  const top = [...counted]
    .filter(([, views]) => views > 0)
    .sort(([a, viewsA], [b, viewsB]) => viewsB - viewsA || (a < b ? -1 : 1))
    .slice(0, 10)
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
