import type { Kysely } from 'kysely'
import type { InvalidateMode } from '../cache/store.ts'
import { areChangesKept, changesSince } from '../changes/revision.ts'
import type { ProblemLog } from '../db/problem-log.ts'
import type { Tables } from '../db/ranking.ts'
import type { Backend } from '../lists/backend.ts'
import type { Lists } from '../lists/popular-posts.ts'
import type { PopularPostsQuery } from '../lists/query.ts'
import type { Views } from '../views/post-views.ts'

/** What is kept fresh. */
export interface MaintenanceRequest {
  /** Lists, as they are asked for. Default: the one that every page shows. */
  lists?: readonly PopularPostsQuery[]
  /** Lists of categories. Default: the one without parameters. */
  categories?: readonly { days?: number }[]
  /** Those are loaded anew that are stale, or will be in this time. Default 120: two runs of a schedule of one minute. */
  withinSeconds?: number
}

export interface MaintenanceReport {
  /** Views that were counted. */
  views: number
  /** How the data had changed since the last run. */
  change: InvalidateMode | undefined
  /** Lists that were looked at. */
  lists: number
}

export type Maintain = (request?: MaintenanceRequest) => Promise<MaintenanceReport>

interface MaintenanceOptions {
  prefix: string
  db: Kysely<Tables>
  lists: Lists
  views: Views
  problems: ProblemLog
  redis: Backend['redis']
}

/**
 * Makes a function that does at once what a server does in the background: it counts views, invalidates on changes, and
 * refreshes lists. For a schedule, where processes are suspended between requests.
 */
export function createMaintenance(options: MaintenanceOptions): Maintain {
  const { prefix, db, lists, views, problems, redis } = options
  const { popularPosts } = lists
  const revisionKey = `{${prefix}}:revision`
  let isFirst = true

  /**
   * Invalidates if the data has changed since the last run, by whichever process. What was compared with is in Redis, and
   * written last: who dies before that leaves the same changes to the next.
   */
  async function compare(): Promise<InvalidateMode | undefined> {
    if (redis === undefined || !(await areChangesKept(db))) return undefined
    const known = await redis.ask(() => redis.client.callBuffer('GET', revisionKey))
    const { revision, change, cause } = await changesSince(db, known instanceof Buffer ? known.toString() : undefined)
    // Lost, or never there: then the generation may be older than any change.
    const mode = known instanceof Buffer ? change : 'hard'
    if (mode !== undefined) await popularPosts.invalidate(mode, { cause: change === undefined ? undefined : cause })
    await redis.ask(() => redis.client.callBuffer('SET', revisionKey, revision))
    return mode
  }

  /**
   * Counts views, invalidates what has changed, and loads what is about to be stale. Each is tried, whatever becomes of
   * the others.
   * @throws AggregateError of all that went wrong; the next run goes on from there.
   */
  async function run(request: MaintenanceRequest = {}): Promise<MaintenanceReport> {
    const { lists: queries = [{}], categories = [{}], withinSeconds = 120 } = request
    const errors: unknown[] = []
    const attempt = <T>(work: () => Promise<T>) =>
      work().catch((error: unknown) => {
        errors.push(error)
        return undefined
      })
    await lists.resume()
    let counted = 0
    await attempt(async () => {
      const flushed = await views.postViews.flush()
      counted = flushed.views
      // See `db/retention.ts`: only where no batch waits to be counted.
      if (flushed.waiting === 0) await views.postViews.prune()
    })
    const change = await attempt(compare)
    if (isFirst || change === 'hard') await problems.check()
    isFirst = false
    for (const query of queries) await attempt(() => popularPosts.refresh(query, { withinSeconds }))
    for (const list of categories) await attempt(() => popularPosts.refreshCategories(list, { withinSeconds }))
    await lists.idle()
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} steps of the maintenance failed`)
    return { views: counted, change, lists: queries.length + categories.length }
  }

  return run
}
