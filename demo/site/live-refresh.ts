import type { FastifyInstance } from 'fastify'
import type { PopularPostsQuery } from '../../lists/query.ts'

interface LiveRefreshOptions {
  /** What is refreshed. */
  lists: () => readonly PopularPostsQuery[]
  /** Asked when views have come in. */
  isWanted: () => Promise<boolean>
}

/**
 * Counts recorded views at once, and then refreshes the lists that pages show. A blog has no use for that: its lists are
 * as old as their time to live allows. A demo must be seen to move.
 * @returns what is to be called now and then; it never rejects.
 */
export function createLiveRefresh(
  { postViews, popularPosts }: Pick<FastifyInstance, 'postViews' | 'popularPosts'>,
  { lists, isWanted }: LiveRefreshOptions,
) {
  const seen = { counted: 0, flushed: 0 }
  let running: Promise<void> | undefined

  async function tick(): Promise<void> {
    const { counted } = postViews.stats()
    // Others count views too: the timer, and whoever loads a list.
    if (counted === seen.counted && postViews.stats().flushed === seen.flushed) return
    if (!(await isWanted())) return
    await postViews.flush()
    const { flushed } = postViews.stats()
    Object.assign(seen, { counted, flushed })
    for (const list of lists()) await popularPosts.refresh(list)
  }

  return (): Promise<void> => {
    running ??= tick()
      // Told of by whoever failed; the next beat tries again.
      .catch(() => undefined)
      .finally(() => {
        running = undefined
      })
    return running
  }
}
