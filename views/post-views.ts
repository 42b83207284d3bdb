import { setTimeout as sleep } from 'node:timers/promises'
import createError from '@fastify/error'
import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import { bucketStart, countBatch } from '../db/count-views.ts'
import { findLivePost } from '../db/live-post.ts'
import type { Tables } from '../db/ranking.ts'
import { type PruneResult, prune as pruneCounters } from '../db/retention.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { nonce } from '../lib/nonce.ts'
import type { Settings } from '../settings/options.ts'
import { startFlushTimer } from './flush-timer.ts'
import { createFlusher, type Flushed, type FlushReport } from './flusher.ts'
import { createMemoryViewBuffer } from './memory-view-buffer.ts'
import { createRecorder, type ViewOutcome, type ViewRequest } from './recorder.ts'
import { createRedisViewBuffer } from './redis-view-buffer.ts'
import { copyOf } from './strangers-text.ts'
import type { ViewBuffer } from './view-buffer.ts'

/** A view to record. */
export interface View {
  /** The slug of the post. */
  slug: string
  /** The request of the reader; in Fastify, `request`. */
  request: ViewRequest
  /** The reader, where the site knows who it is: one person on two devices counts once. */
  userId?: string | undefined
}

/** `app.postViews`: records views, and counts them in the database. */
export interface PostViews {
  /**
   * Records a view of the post with a slug. Never rejects, and need not be awaited. With Redis out of reach it takes half a
   * second, once (150 ms without background work).
   *
   * ```ts
   * void app.postViews.record({ slug, request })
   * ```
   * @param view.request the address of the client is `request.ip`: set Fastify's `trustProxy` behind a proxy.
   * @returns what became of the view; `undefined` when there is no live post with this slug.
   */
  record(view: View): Promise<ViewOutcome | undefined>
  /**
   * Counts in the database what has been recorded; with Redis, what all processes have recorded. A flush ends after 15 s (10 s
   * after a statement that hangs), also where more is left: `waiting` says how many batches.
   * @throws the first error of the database or of Redis. No view is lost: the next flush goes on from there.
   */
  flush(): Promise<Flushed>
  /**
   * Deletes counters that no list reads any more: hours after 2 days, days after 400 days, ids of counted batches after 7 days.
   * One call deletes at most 20,000 rows of a table; `hasMore` says whether to call again. A timer of the plugin calls it every
   * hour, unless `viewFlushSeconds` is 0.
   * @throws the error of the database. What was deleted before stays deleted.
   */
  prune(): Promise<PruneResult>
  /** Returns counts since the start of the process. */
  stats(): PostViewsStats
}

/** The counting of an app: what the host may call, and what only this package may call. */
export interface Views {
  postViews: PostViews
  /**
   * Returns the id of the live post with a slug; `undefined`: there is none. An answer is remembered for 10 s, and for
   * longer while the database does not reply.
   * @throws `PP_LOOKUP_FAILED` (503, with `retryAfterMs`).
   */
  findPost(slug: string): Promise<string | undefined>
  /** Counts at most one batch, and none while a backlog is being counted: for a list that is about to be loaded. */
  flushBriefly(): Promise<void>
  /** Waits for the views that are being recorded. */
  idle(): Promise<void>
  /** Ends the timer, and counts what has been recorded: one batch of what is in Redis, and all of what is in memory. */
  close(): Promise<void>
}

/** Views since the start by what became of them, and what was counted in the database. */
export interface PostViewsStats extends Record<ViewOutcome, number> {
  /** Views that this process has counted in the database: of all processes, where Redis is. */
  flushed: number
  batches: number
  flushesFailed: number
}

const LookupFailed = createError(
  'PP_LOOKUP_FAILED',
  'It is not known right now whether there is such a post: try again later.',
  503,
)

/** Counting a backlog takes a quarter of a processor at most: after each batch it rests for three times as long as that took. */
const restAfter = (batchMs: number) => sleep(Math.min(3 * batchMs, 1_000))

/** For Redis to take, hand out or drop a batch. */
const FLUSH_COMMAND_MS = 5_000

/** For how long it is remembered whether a slug is a live post; how many slugs are, and how many characters of them. */
const POSTS = { ttl: 10_000, max: 10_000, maxSize: 2_000_000 }

interface PostViewsOptions {
  settings: Pick<
    Settings,
    'prefix' | 'timeZone' | 'maxDays' | 'viewDedupSeconds' | 'viewFlushSeconds' | 'runsBetweenRequests'
  >
  db: Kysely<Tables>
  /** Where views are counted and old counters deleted: apart from readers where the connections are ours. */
  flushDb: Kysely<Tables>
  /** Where views are buffered; `undefined`: in the memory of this process. */
  redis: { client: HostRedis; ask: <T>(work: () => Promise<T>) => Promise<T> } | undefined
  log: Pick<Logger, 'info' | 'warn'>
}

/** Makes the counting of views: they are recorded in a buffer, and moved to the database every `viewFlushSeconds`. */
export function createViews({ settings, db, flushDb, redis, log }: PostViewsOptions): Views {
  const { timeZone, viewDedupSeconds: dedupSeconds } = settings
  const counts: PostViewsStats = {
    counted: 0,
    repeat: 0,
    bot: 0,
    prefetch: 0,
    dropped: 0,
    flushed: 0,
    batches: 0,
    flushesFailed: 0,
  }
  const recording = new Set<Promise<unknown>>()
  const troubles = { dropped: false, flushing: false, pruning: false, unreadable: false, misfit: false }
  const posts = new LRUCache<string, { id: string | undefined }>({
    ...POSTS,
    sizeCalculation: (_post, slug) => slug.length + 1,
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: async (slug) => ({ id: await findLivePost(db, slug, Date.now()) }),
  })
  const { buffer, flushed } = createBuffer()
  const recordView = createRecorder({
    buffer,
    dedupSeconds,
    bucketStart,
    now: Date.now,
  })
  const flusher = createFlusher({
    buffer: flushed,
    nonce,
    count: (id, buckets) =>
      countBatch(flushDb, { id, timeZone, nowMs: Date.now(), buckets, onDataException: onMisfit }),
    rest: restAfter,
    onAside(batch, error) {
      const message = 'popular posts: a batch of views cannot be counted, it is kept and tried again in ten minutes'
      log.warn({ err: loggedError(error), batch }, message)
    },
    onEnd({ views, batches, error }) {
      counts.flushed += views
      counts.batches += batches
      if (error === undefined) troubles.flushing = false
      else {
        counts.flushesFailed += 1
        warnOnce('flushing', error, 'views could not be counted, they are kept for the next try')
      }
    },
  })

  function onMisfit(error: Error): void {
    warnOnce('misfit', error, 'views are left out: their post ids are not of the type that posts have')
  }

  function onUnreadable(): void {
    warnOnce('unreadable', undefined, 'numbers that another program has written among the views in Redis are left out')
  }

  /** The buffer as views are added to it: while Redis is out of reach nobody waits for it. And as it is flushed. */
  function createBuffer(): { buffer: ViewBuffer; flushed: ViewBuffer } {
    if (redis === undefined) {
      const memory = createMemoryViewBuffer({ dedupSeconds })
      return { buffer: memory, flushed: memory }
    }
    const { client, ask } = redis
    const shared = createRedisViewBuffer({ client, prefix: settings.prefix, dedupSeconds, ask, onUnreadable })
    const inTime = <T>(work: Promise<T>) => withinDeadline(systemClock, FLUSH_COMMAND_MS, work)
    return {
      buffer: shared,
      flushed: {
        ...shared,
        take: (id) => inTime(shared.take(id)),
        read: (id) => inTime(shared.read(id)),
        drop: (id) => inTime(shared.drop(id)),
        setAside: (id, delayMs) => inTime(shared.setAside(id, delayMs)),
      },
    }
  }

  /** Once for each series of failures. */
  function warnOnce(what: keyof typeof troubles, error: unknown, message: string): void {
    if (!troubles[what]) log.warn(error === undefined ? {} : { err: loggedError(error) }, `popular posts: ${message}`)
    troubles[what] = true
  }

  async function findPost(slug: string): Promise<string | undefined> {
    const post = await posts.fetch(copyOf(slug))
    if (post === undefined) throw Object.assign(new LookupFailed(), { retryAfterMs: 1000 })
    return post.id
  }

  async function recordOne({ slug, request, userId }: View): Promise<ViewOutcome | undefined> {
    let outcome: ViewOutcome
    try {
      const postId = await findPost(slug)
      if (postId === undefined) return undefined
      outcome = await recordView({ postId, request, userId })
    } catch (error) {
      outcome = 'dropped'
      warnOnce('dropped', error, 'views are dropped')
    }
    counts[outcome] += 1
    if (outcome === 'counted') troubles.dropped = false
    return outcome
  }

  function record(view: View): Promise<ViewOutcome | undefined> {
    const outcome = recordOne(view)
    recording.add(outcome)
    void outcome.finally(() => recording.delete(outcome))
    return outcome
  }

  async function prune(): Promise<PruneResult> {
    try {
      const pruned = await pruneCounters(flushDb, { nowMs: Date.now(), timeZone, maxDays: settings.maxDays })
      troubles.pruning = false
      return pruned
    } catch (error) {
      warnOnce('pruning', error, 'old counters could not be deleted')
      throw error
    }
  }

  const flush = async () => resultOf(await flusher.flush())
  const { viewFlushSeconds, runsBetweenRequests } = settings
  const isTimed = runsBetweenRequests && viewFlushSeconds > 0
  const stopTimer = isTimed ? startFlushTimer({ flush, prune, flushMs: viewFlushSeconds * 1000 }) : () => {}

  return {
    postViews: { record, flush, prune, stats: () => ({ ...counts }) },
    findPost,
    async flushBriefly() {
      if (!flusher.isBehind()) await flusher.flush({ isBrief: true })
    },
    async idle() {
      await Promise.all(recording)
    },
    async close() {
      stopTimer()
      await Promise.all(recording)
      flusher.end()
      for (;;) {
        const { waiting, batches } = await flusher.flush()
        if (redis !== undefined || waiting === 0 || batches === 0) return
      }
    },
  }
}

function resultOf({ error, ...flushed }: FlushReport): Flushed {
  if (error !== undefined) throw error
  return flushed
}
