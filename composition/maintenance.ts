import type { Kysely } from 'kysely'
import type { InvalidateMode } from '../cache/store.ts'
import { changesSince, hasChangeTable } from '../changes/revision.ts'
import type { ProblemLog } from '../db/problem-log.ts'
import type { Tables } from '../db/ranking.ts'
import { isObject, readRequest } from '../lib/read-request.ts'
import { keyRoot } from '../lib/redis-keys.ts'
import { createRunner, defineScript } from '../lib/redis-scripts-runner.ts'
import type { Backend } from '../lists/backend.ts'
import type { Lists } from '../lists/popular-posts.ts'
import { PARAMETERS, type PopularPostsQuery } from '../lists/query.ts'
import type { Views } from '../views/post-views.ts'

/** The event of the Lambda function `flush`, and the body of the route `maintain`: which lists are kept fresh. */
export interface MaintenanceRequest {
  /** Queries of the lists to refresh. Default: the default list. */
  lists?: readonly PopularPostsQuery[]
  /** Queries of the lists of categories to refresh. Default: the list without parameters. */
  categories?: readonly { days?: number }[]
  /**
   * Lists are loaded if they are stale, or become stale within this time, in seconds. Default 120: two runs of a schedule of
   * one minute.
   */
  withinSeconds?: number
}

/** The result of a run. */
export interface MaintenanceReport {
  /** The number of views that were counted in the database. */
  views: number
  /** The change of the data since the last run; `undefined`: there was none. */
  change: InvalidateMode | undefined
  /** The number of lists that were refreshed if necessary. */
  lists: number
}

const queriesOf = (names: readonly string[]) => ({
  expected: `a list of queries with ${names.join(', ')}`,
  isValid: (value: unknown) =>
    Array.isArray(value) &&
    value.every((query) => isObject(query) && Object.keys(query).every((name) => names.includes(name))),
})
const REQUEST = {
  lists: queriesOf(PARAMETERS),
  categories: queriesOf(['days']),
  withinSeconds: {
    expected: 'a number of seconds',
    isValid: (value: unknown) => Number.isFinite(value) && Number(value) >= 0,
  },
}

/** Runs the maintenance once, for a {@link MaintenanceRequest}: see `createMaintenance`. */
export type Maintain = (request?: unknown) => Promise<MaintenanceReport>

interface MaintenanceOptions {
  prefix: string
  db: Kysely<Tables>
  lists: Lists
  views: Views
  problems: ProblemLog
  redis: Backend['redis']
}

/** KEYS: revision of the last run; ARGV of SET: the new one. */
const GET = defineScript(`return redis.call('GET', KEYS[1])`)
const SET = defineScript(`return redis.call('SET', KEYS[1], ARGV[1])`)

/**
 * Creates a function that runs the background tasks of a server once: it invalidates on changes, counts views, and refreshes
 * lists. A schedule calls it where processes are suspended between requests.
 */
export function createMaintenance(options: MaintenanceOptions): Maintain {
  const { prefix, db, lists, views, problems, redis } = options
  const { popularPosts } = lists
  const revisionKey = `${keyRoot(prefix)}:revision`
  let isFirst = true

  /**
   * Invalidates if the data has changed since the last run of any process. The revision of the last run is in Redis, and is
   * written last: if the process dies before that, the next run finds the same changes.
   */
  async function compare(): Promise<InvalidateMode | undefined> {
    if (redis === undefined || !(await hasChangeTable(db))) return undefined
    const run = createRunner(redis.client)
    const known = await redis.ask(() => run(GET, [revisionKey]))
    const changes = await changesSince(db, known instanceof Buffer ? known.toString() : undefined)
    // Without a known revision the generation may be older than any change.
    const mode = known instanceof Buffer ? changes.mode : 'hard'
    const idempotencyKey = changes.mode === undefined ? undefined : changes.name
    // The refreshed list is for all: nothing waits until other processes have dropped their copies.
    if (mode !== undefined) await popularPosts.invalidate(mode, { idempotencyKey, wait: false })
    await redis.ask(() => run(SET, [revisionKey], changes.revision))
    return mode
  }

  /**
   * Invalidates on changes, counts views, and refreshes lists. A step that fails does not stop the others.
   * @throws RequestError for a request with another key; AggregateError of the errors of all steps; the next run continues
   * after the steps that succeeded.
   */
  async function run(request?: unknown): Promise<MaintenanceReport> {
    const checked = readRequest<MaintenanceRequest>(request, 'The maintenance', REQUEST)
    const { lists: queries = [{}], categories = [{}], withinSeconds = 120 } = checked
    const errors: unknown[] = []
    const attempt = <T>(work: () => Promise<T>) =>
      work().catch((error: unknown) => {
        errors.push(error)
        return undefined
      })
    await lists.resume()
    // First, because a backlog takes up to 15 s to count.
    const change = await attempt(compare)
    const flushed = await attempt(views.postViews.flush)
    for (const query of queries) await attempt(() => popularPosts.refresh(query, { withinSeconds }))
    for (const list of categories) await attempt(() => popularPosts.refreshCategories(list, { withinSeconds }))
    // Only when no batch waits to be counted: see `db/retention.ts`.
    if (flushed?.waiting === 0) await attempt(views.postViews.prune)
    if (isFirst || change === 'hard') await problems.check()
    isFirst = false
    await lists.idle()
    if (flushed === undefined || errors.length > 0)
      throw new AggregateError(errors, `${errors.length} steps of the maintenance failed`)
    return { views: flushed.views, change, lists: queries.length + categories.length }
  }

  return run
}
