import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Kysely } from 'kysely'
import type { InvalidateMode } from '../cache/store.ts'
import { areChangesKept, changesSince } from '../changes/revision.ts'
import type { Tables } from '../db/popular-posts.ts'
import type { PopularPostsQuery } from './query.ts'

declare module 'fastify' {
  interface FastifyInstance {
    popularPostsUpkeep: ReturnType<typeof createUpkeep>
  }
}

/** What is kept fresh. */
export interface UpkeepRequest {
  /** Lists, as they are asked for. Default: the one that every page shows. */
  lists?: readonly PopularPostsQuery[]
  /** Lists of categories. Default: the one without parameters. */
  categories?: readonly { days?: number }[]
  /** Those are loaded anew that are stale, or will be in this time. Default 120: two runs of a schedule of one minute. */
  withinSeconds?: number
}

export interface UpkeepReport {
  /** Views that were counted. */
  views: number
  /** How the data had changed since the last run. */
  change: InvalidateMode | undefined
  /** Lists that were looked at. */
  lists: number
}

interface UpkeepOptions {
  prefix: string
  db: Kysely<Tables>
}

/**
 * What a server does by and by, done at once when a schedule says so: for fleets of processes that are frozen between
 * requests.
 */
export function createUpkeep(
  app: Pick<FastifyInstance, 'popularPosts' | 'postViews' | 'popularPostsBackend' | 'popularPostsTroubles'>,
  { prefix, db }: UpkeepOptions,
) {
  const revisionKey = `{${prefix}}:revision`
  let isFirst = true

  /**
   * Invalidates if the data has changed since the last run, by whichever process. What was compared with is in Redis, and
   * written last: who dies before that leaves the same changes to the next.
   */
  async function compare(): Promise<InvalidateMode | undefined> {
    const { redis } = app.popularPostsBackend
    if (redis === undefined || !(await areChangesKept(db))) return undefined
    const known = await redis.ask(() => redis.client.callBuffer('GET', revisionKey))
    const { revision, change, cause } = await changesSince(db, known instanceof Buffer ? known.toString() : undefined)
    // Lost, or never there: then the generation may be older than any change.
    const mode = known instanceof Buffer ? change : 'hard'
    if (mode !== undefined) await app.popularPosts.invalidate(mode, { cause: change === undefined ? undefined : cause })
    await redis.ask(() => redis.client.callBuffer('SET', revisionKey, revision))
    return mode
  }

  /**
   * Counts views, invalidates what has changed, and loads what is about to be stale. Each is tried, whatever becomes of
   * the others.
   * @throws AggregateError of all that went wrong; the next run goes on from there.
   */
  async function run(request: UpkeepRequest = {}): Promise<UpkeepReport> {
    const { lists = [{}], categories = [{}], withinSeconds = 120 } = request
    const errors: unknown[] = []
    const attempt = <T>(work: () => Promise<T>) =>
      work().catch((error: unknown) => {
        errors.push(error)
        return undefined
      })
    await app.popularPosts.thaw()
    let views = 0
    await attempt(async () => {
      const flushed = await app.postViews.flush()
      views = flushed.views
      // See `db/retention.ts`: only where no batch waits to be counted.
      if (flushed.waiting === 0) await app.postViews.prune()
    })
    const change = await attempt(compare)
    if (isFirst || change === 'hard') await app.popularPostsTroubles.look()
    isFirst = false
    for (const list of lists) await attempt(() => app.popularPosts.refresh(list, { withinSeconds }))
    for (const list of categories) await attempt(() => app.popularPosts.refreshCategories(list, { withinSeconds }))
    await app.popularPosts.settle()
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} steps of the upkeep failed`)
    return { views, change, lists: lists.length + categories.length }
  }

  return { run }
}

const upkeep: FastifyPluginAsync<UpkeepOptions> = async (app, options) => {
  app.decorate('popularPostsUpkeep', createUpkeep(app, options))
}

export default fp(upkeep, {
  name: 'popular-posts-upkeep',
  dependencies: ['popular-posts-cache', 'popular-posts-views', 'popular-posts-troubles'],
  fastify: '5.x',
})
