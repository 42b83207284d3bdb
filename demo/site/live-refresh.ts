import type { FastifyInstance } from 'fastify'
import type { PopularPostsQuery } from '../../lists/query.ts'

interface LiveRefreshOptions {
  /** The lists to refresh. */
  lists: () => readonly PopularPostsQuery[]
  /** Called after new views; `false`: nothing is refreshed. */
  isWanted: () => Promise<boolean>
}

/**
 * Flushes new views at once, and then refreshes the lists that pages show. Only the demo does so: its lists must
 * visibly change, while lists of a blog may be as old as their time to live.
 * @returns a function to call regularly; it never rejects.
 */
export function createLiveRefresh(
  { postViews, popularPosts }: Pick<FastifyInstance, 'postViews' | 'popularPosts'>,
  { lists, isWanted }: LiveRefreshOptions,
) {
  const seen = { counted: 0, flushed: 0 }
  let running: Promise<void> | undefined

  async function tick(): Promise<void> {
    const { counted } = postViews.stats()
    // The flush timer and loads of lists flush views too.
    if (counted === seen.counted && postViews.stats().flushed === seen.flushed) return
    if (!(await isWanted())) return
    await postViews.flush()
    const { flushed } = postViews.stats()
    Object.assign(seen, { counted, flushed })
    for (const list of lists()) await popularPosts.refresh(list)
  }

  return (): Promise<void> => {
    running ??= tick()
      // The failed part has logged the error; the next tick retries.
      .catch(() => undefined)
      .finally(() => {
        running = undefined
      })
    return running
  }
}
