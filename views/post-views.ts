import { setTimeout as sleep } from 'node:timers/promises'
import createError from '@fastify/error'
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import { countBatch, quarterOf } from '../db/count-views.ts'
import { findLivePost } from '../db/live-post.ts'
import type { Tables } from '../db/popular-posts.ts'
import { type Pruned, prune as pruneCounters } from '../db/retention.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import { loggedError } from '../lib/logged-error.ts'
import { nonce } from '../lib/nonce.ts'
import type { PopularPostsBackend } from '../lists/backend-type.ts'
import type { Settings } from '../settings/options.ts'
import { startFlushTimer } from './flush-timer.ts'
import { createFlusher, type Flushed, type FlushReport } from './flusher.ts'
import { createMemoryViewBuffer } from './memory-view-buffer.ts'
import { createRecorder, type ViewOutcome, type ViewRequest } from './recorder.ts'
import { createRedisViewBuffer } from './redis-view-buffer.ts'
import { copyOf } from './strangers-text.ts'
import type { ViewBuffer } from './view-buffer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    postViews: PostViews
  }
}

export interface View {
  slug: string
  request: ViewRequest
  /** Who it is, where the site knows: one person on two devices counts once. */
  userId?: string | undefined
}

export type PostViews = ReturnType<typeof createPostViews>

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
}

/** The counting of views: recorded in a buffer, and moved to the database now and then. */
export function createPostViews(
  { settings, db, flushDb }: PostViewsOptions,
  backend: PopularPostsBackend,
  log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
) {
  const { timeZone, viewDedupSeconds: dedupSeconds } = settings
  const counts: PostViewsStats = {
    ...{ counted: 0, repeat: 0, bot: 0, prefetch: 0, dropped: 0 },
    ...{ flushed: 0, batches: 0, flushesFailed: 0 },
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
    ...{ buffer, dedupSeconds, quarterOf },
    now: Date.now,
  })
  const flusher = createFlusher({
    ...{ buffer: flushed, nonce },
    count: (id, buckets) => countBatch(flushDb, { id, timeZone, nowMs: Date.now(), buckets, onMisfit }),
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
    const { redis } = backend
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

  /**
   * The id of the live post with a slug; `undefined`: there is none. Known for 10 s, and for longer while the database does
   * not answer.
   * @throws `PP_LOOKUP_FAILED` (503, with `retryAfterMs`).
   */
  async function find(slug: string): Promise<string | undefined> {
    const post = await posts.fetch(copyOf(slug))
    if (post === undefined) throw Object.assign(new LookupFailed(), { retryAfterMs: 1000 })
    return post.id
  }

  async function recordOne({ slug, request, userId }: View): Promise<ViewOutcome | undefined> {
    let outcome: ViewOutcome
    try {
      const postId = await find(slug)
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

  /**
   * Records a view of the post with a slug, by whoever sent the request (in Fastify, `request`: its `trustProxy` says who
   * may name the client). Never rejects, and need not be awaited; with Redis out of reach it takes half a second, once
   * (150 ms where nothing runs between requests).
   * @returns what became of it; `undefined`: there is no such live post.
   */
  function record(view: View): Promise<ViewOutcome | undefined> {
    const outcome = recordOne(view)
    recording.add(outcome)
    void outcome.finally(() => recording.delete(outcome))
    return outcome
  }

  /**
   * Counts in the database what has been recorded; with Redis, by all processes. After a long outage of the database it ends
   * before all is counted, in 15 s, or 10 s after a statement that hangs: `waiting` says how many batches are left.
   * @throws the first error of the database or Redis; nothing is lost, and the next flush goes on from there.
   */
  async function flush(): Promise<Flushed> {
    return resultOf(await flusher.flush())
  }

  /** For a list that is about to be loaded: counts one batch at most, and none while a backlog is being counted. */
  async function flushBriefly(): Promise<void> {
    if (!flusher.isBehind()) await flusher.flush({ isBrief: true })
  }

  /**
   * Deletes what no list reads any more: hours after two days, days after 400, ids of counted batches after seven. Some
   * 20,000 rows at most; `hasMore` says whether to call again.
   * @throws what the database answered.
   */
  async function prune(): Promise<Pruned> {
    try {
      const pruned = await pruneCounters(flushDb, { nowMs: Date.now(), timeZone, maxDays: settings.maxDays })
      troubles.pruning = false
      return pruned
    } catch (error) {
      warnOnce('pruning', error, 'old counters could not be deleted')
      throw error
    }
  }

  return {
    find,
    record,
    flush,
    flushBriefly,
    prune,
    stats: (): PostViewsStats => ({ ...counts }),
    /** Waits for what is being recorded. */
    async settle(): Promise<void> {
      await Promise.all(recording)
    },
    /** Waits for what is being recorded, and counts it: one batch of what is in Redis, and all of what would be lost. */
    async close(): Promise<void> {
      await Promise.all(recording)
      flusher.end()
      for (;;) {
        const { waiting, batches } = await flusher.flush()
        if (backend.redis !== undefined || waiting === 0 || batches === 0) return
      }
    },
  }
}

function resultOf({ error, ...flushed }: FlushReport): Flushed {
  if (error !== undefined) throw error
  return flushed
}

const postViews: FastifyPluginAsync<PostViewsOptions> = async (app, options) => {
  const service = createPostViews(options, app.popularPostsBackend, app.log)
  app.decorate('postViews', service)
  const { viewFlushSeconds, runsBetweenRequests } = options.settings
  const isTimed = runsBetweenRequests && viewFlushSeconds > 0
  const stop = isTimed ? startFlushTimer({ ...service, flushMs: viewFlushSeconds * 1000 }) : () => {}
  app.addHook('onClose', async () => {
    stop()
    await service.close()
  })
}

export default fp(postViews, { name: 'popular-posts-views', dependencies: ['popular-posts-backend'], fastify: '5.x' })
