import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { bucketStart, countBatch } from '../db/count-views.ts'
import type { Tables } from '../db/ranking.ts'
import { type PruneResult, prune as pruneCounters } from '../db/retention.ts'
import type { RowGuard } from '../db/row-guard.ts'
import { materializeWindows } from '../db/store-rollups.ts'
import { loggedError, ofOwnQuery } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { nonce } from '../lib/nonce.ts'
import type { Settings } from '../settings/options.ts'
import { createBuffers, type SharedRedis } from './buffers.ts'
import { type ClientRate, createFleetRate } from './fleet-rate.ts'
import { startFlushTimer } from './flush-timer.ts'
import { createFlusher, type FlushReport, type FlushResult } from './flusher.ts'
import { createPostFinder, type FindPost } from './post-finder.ts'
import { createRecorder, NO_VIEWS, type ViewOutcome } from './recorder.ts'
import type { PostViews, PostViewsStats, ViewInput } from './view-api.ts'
import { createViewCounter } from './view-counter.ts'
import { createWindowKeeper } from './window-keeper.ts'

/** The counting of views in an app: the public `postViews`, and methods for other parts of this package. */
export interface Views {
  postViews: PostViews
  /**
   * Returns the id of the live post with a slug (see `slugForms`), or with an earlier slug; `undefined`: there is none. The id
   * is cached for 10 s, or until `verifyPosts`, and for longer while the database does not reply in a quarter of a second. That there is none is not
   * cached: see `createPostLookup`.
   * @throws `PP_LOOKUP_FAILED` (503, with `retryAfterMs`) when the post is not known, and the database does not reply in a
   * second.
   */
  findPost: FindPost
  /** Records a view that the client itself has sent, as `postViews.record`: `viewsPerMinute` limits those of all processes. */
  recordSent(view: ViewInput): void
  /** Returns for how long views of a client are refused, because of that limit (ms); 0: they are not. */
  refusedForMs(ip: string): number
  /** Call when a post may have been withdrawn: the next view of each post asks the database. */
  verifyPosts(): void
  /** Counts at most one batch, for a list that is about to be loaded. Does nothing while a flush counts a backlog. */
  flushBriefly(): Promise<void>
  /** Waits for the views that are being recorded. */
  idle(): Promise<void>
  /**
   * Stops the timer, and counts recorded views: one batch of those in Redis, all of those in memory.
   * @param onProgress called after each batch.
   */
  close(onProgress: () => void): Promise<void>
  /** Begins no further sum of closed days, and waits for the statement that is storing one. */
  endSums(): Promise<void>
}

/** Limits the counting of a backlog to a quarter of a processor: the wait is three times the duration of the last batch. */
const restAfter = (batchMs: number) => sleep(Math.min(3 * batchMs, 1_000))

interface PostViewsOptions {
  settings: Pick<
    Settings,
    | 'redisPrefix'
    | 'load'
    | 'defaultDays'
    | 'maxDays'
    | 'days'
    | 'viewDedupSeconds'
    | 'viewFlushSeconds'
    | 'viewsPerMinute'
    | 'viewRateLimit'
    | 'backgroundWork'
    | 'readersPerAddress'
    | 'ignore'
  >
  /** Returns the site's IANA time zone. */
  timeZone: () => Promise<string>
  db: Kysely<Tables>
  /** Counts views and deletes old counters: with `databaseUrl`, on connections apart from those for readers. */
  flushDb: Kysely<Tables>
  /** Runs queries of the blog. */
  read: RowGuard
  /** Holds the buffer of views; `undefined`: the buffer is in the memory of this process. */
  redis: SharedRedis | undefined
  log: Pick<Logger, 'info' | 'warn'>
}

const KEPT = 'views could not be counted, they are kept for the next flush'
const LAST_FLUSH = 'the last flush did not end in time, views may be lost'
const REFUSED =
  'Redis refuses this user the keys of the shards, so views that wait there are not counted: see Rights in Redis, docs/operating.md'

/** Creates the counting of views: a buffer of views, which are moved to the database every `viewFlushSeconds`. */
export function createViews({ settings, timeZone, db, flushDb, read, redis, log }: PostViewsOptions): Views {
  const { viewDedupSeconds: dedupSeconds, readersPerAddress } = settings
  const counts: PostViewsStats = Object.assign({ flushed: 0, batches: 0, flushesFailed: 0 }, NO_VIEWS)
  const recording = new Set<Promise<unknown>>()
  let isClosed = false
  let areSumsEnded = false
  const warned = {
    dropped: false,
    late: false,
    flushing: false,
    pruning: false,
    unreadable: false,
    misfit: false,
    refused: false,
  }
  const { findPost, verify: verifyPosts } = createPostFinder({
    db,
    read,
    redis,
    prefix: settings.redisPrefix,
  })
  // The host's own limit takes the place of ours.
  const fleetRate = createFleetRate(settings.viewRateLimit === undefined ? settings.viewsPerMinute : 0)
  const counter = createViewCounter(db, read)
  const { buffer, endKeeping } = createBuffers({
    redis,
    settings,
    onUnreadable: () =>
      warnOnce('unreadable', undefined, 'counts in Redis that another program has written are left out'),
    onRefused: (error) => warnOnce('refused', error, REFUSED),
    onKept: (error) => warnOnce('late', error, 'Redis takes no views, this process keeps them for the next flush'),
    onLost,
  })
  const recordView = createRecorder({
    buffer,
    dedupSeconds,
    readersPerAddress,
    ignore: settings.ignore,
    bucketStart,
    now: Date.now,
    log,
  })
  const flusher = createFlusher({
    buffer,
    nonce,
    count: async (id, buckets, isLast) =>
      countBatch(flushDb, {
        id,
        timeZone: await timeZone(),
        nowMs: Date.now(),
        buckets,
        // No later flush counts what is in the memory of this process.
        waitsForRows: isLast && redis === undefined,
        onDataException: onMisfit,
      }),
    rest: restAfter,
    onAside(batch, error) {
      const message = 'popular posts: a batch of views cannot be counted, retrying it in ten minutes'
      log.warn({ err: loggedError(ofOwnQuery(error)), batch }, message)
    },
    onEnd({ views, batches, error }) {
      counter.expire()
      counts.flushed += views
      counts.batches += batches
      if (error === undefined) {
        warned.flushing = false
        warned.late = false
      } else {
        counts.flushesFailed += 1
        warnOnce('flushing', error, isClosed && redis === undefined ? LAST_FLUSH : KEPT)
      }
    },
  })

  function onMisfit(error: Error): void {
    warnOnce('misfit', error, 'views are left out: their post ids are not of the type of posts.id')
  }

  function onLost(views: number): void {
    counts.dropped += views
    log.warn({ views }, 'popular posts: views are dropped, because Redis did not take them in time')
  }

  /** Logs the first failure of a series. */
  function warnOnce(what: keyof typeof warned, error: unknown, message: string): void {
    if (!warned[what])
      log.warn(error === undefined ? {} : { err: loggedError(ofOwnQuery(error)) }, `popular posts: ${message}`)
    warned[what] = true
  }

  async function recordOne({ slug, request, userId }: ViewInput, rate?: ClientRate): Promise<ViewOutcome | undefined> {
    let outcome: ViewOutcome
    try {
      const postId = await findPost(slug)
      if (postId === undefined) return undefined
      outcome = await recordView({ postId, request, userId, rate })
    } catch (error) {
      outcome = 'dropped'
      warnOnce('dropped', error, 'views are dropped')
    }
    counts[outcome] += 1
    if (outcome === 'counted') warned.dropped = false
    return outcome
  }

  function record(view: ViewInput, rate?: ClientRate): Promise<ViewOutcome | undefined> {
    const outcome = recordOne(view, rate)
    recording.add(outcome)
    void outcome.finally(() => recording.delete(outcome))
    return outcome
  }

  async function prune(): Promise<PruneResult> {
    try {
      const pruned = await pruneCounters(flushDb, { nowMs: Date.now(), timeZone: await timeZone(), maxDays })
      warned.pruning = false
      return pruned
    } catch (error) {
      warnOnce('pruning', error, 'old counters could not be deleted')
      throw error
    }
  }

  const { load, defaultDays, maxDays, days: allowed, viewFlushSeconds, backgroundWork } = settings
  const keepWindows = createWindowKeeper(async (isOver) => {
    // The lists of the host's own `load` do not read the sums.
    if (load !== undefined || areSumsEnded) return true
    const windows = { defaultDays, maxDays, allowed, timeZone: await timeZone() }
    return materializeWindows(db, windows, () => areSumsEnded || isOver())
  })

  async function flush(): Promise<FlushResult> {
    const report = await flusher.flush()
    const kept = keepWindows()
    if (!backgroundWork) await kept
    return resultOf(report)
  }
  const isTimed = backgroundWork && viewFlushSeconds > 0
  const stopTimer = isTimed ? startFlushTimer({ flush, prune, flushMs: viewFlushSeconds * 1000 }) : () => {}
  // The lists of a large blog take seconds until the sums are stored: after an update, a restore, a night without a process.
  if (isTimed) void keepWindows()

  return {
    postViews: {
      record: (view) => record(view),
      flush,
      count: counter.count,
      countMany: counter.countMany,
      prune,
      stats: () => ({ ...counts }),
    },
    findPost,
    recordSent: (view) => void record(view, fleetRate.of(view.request.ip)),
    refusedForMs: fleetRate.refusedForMs,
    verifyPosts,
    async flushBriefly() {
      if (!flusher.isBehind()) await flusher.flush({ isBrief: true })
    },
    async idle() {
      await Promise.all(recording)
    },
    async close(onProgress) {
      stopTimer()
      await Promise.all(recording)
      isClosed = true
      flusher.end()
      for (;;) {
        const { waiting, batches } = await flusher.flush()
        if (redis !== undefined || waiting === 0 || batches === 0) break
        onProgress()
      }
      endKeeping()
    },
    endSums() {
      areSumsEnded = true
      return keepWindows()
    },
  }
}

function resultOf({ error, ...flushed }: FlushReport): FlushResult {
  if (error !== undefined) throw error
  return flushed
}
