import type { Clock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'

/** The pause after a statement that did not find all of its slugs (ms). */
const PAUSE_MS = 100
/** How long a statement delays the next one (ms): a connection may be dead without an error. */
const SLOW_MS = 1_000
/** The most slugs of a statement, and the most statements that wait. */
const MAX = { slugs: 500, waiting: 10 }

interface PostLookupOptions<T> {
  /** Returns what belongs to the live posts with these slugs, such as their ids. Slugs without a live post are missing. */
  find: (slugs: readonly string[]) => Promise<ReadonlyMap<string, T>>
  clock: Clock
}

interface Batch<T> {
  slugs: Set<string>
  found: Promise<ReadonlyMap<string, T>>
}

/**
 * Creates a function that looks up the post with a slug in the database. Every result is of a statement that starts after
 * the call, so a post counts from the moment of its publication, and no result for an unknown slug has to be cached.
 *
 * Unknown slugs cost the database little: calls that wait share one statement, and after a statement with an unknown slug
 * the next one waits for 100 ms. So any number of unknown slugs costs at most 10 statements a second in each process.
 * @returns what `find` returned for the slug; `undefined`: there is no live post. Rejects with the error of `find`, or when 5,000 slugs wait.
 */
export function createPostLookup<T>({ find, clock }: PostLookupOptions<T>): (slug: string) => Promise<T | undefined> {
  let filling: Batch<T> | undefined
  let turn: Promise<unknown> = Promise.resolve()
  let waiting = 0

  function openBatch(): Batch<T> {
    if (waiting === MAX.waiting)
      throw new Error('Expected the database to reply to earlier look-ups, but too many wait.')
    waiting += 1
    const slugs = new Set<string>()
    const found = turn.then(() => {
      waiting -= 1
      if (filling?.slugs === slugs) filling = undefined
      return find([...slugs])
    })
    turn = turn.then(async () => {
      const results = await withinDeadline(clock, SLOW_MS, found).catch(() => undefined)
      if (results?.size !== slugs.size) await new Promise<void>((resolve) => clock.schedule(PAUSE_MS, resolve))
    })
    return { slugs, found }
  }

  return async (slug) => {
    if (filling === undefined || filling.slugs.size === MAX.slugs) filling = openBatch()
    filling.slugs.add(slug)
    const results = await filling.found
    return results.get(slug)
  }
}
