import type { PostViews } from '../views/post-views.ts'
import { type AnyRegistry, registerCollected } from './collected-metrics.ts'

/** Metrics of the counting of views. */
export function measureViews({ stats }: Pick<PostViews, 'stats'>, register: AnyRegistry): void {
  registerCollected(register, 'counter', [
    {
      name: 'popular_posts_views_total',
      help: 'Views by what became of them; dropped: lost, because Redis or the database could not be reached.',
      label: 'outcome',
      read() {
        const { counted, repeat, bot, prefetch, dropped } = stats()
        return { counted, repeat, bot, prefetch, dropped }
      },
    },
    {
      name: 'popular_posts_views_flushed_total',
      help: 'Views that this process has counted in the database: of all processes, where Redis is.',
      read: () => stats().flushed,
    },
    {
      name: 'popular_posts_flush_batches_total',
      help: 'Batches of views that this process has counted in the database.',
      read: () => stats().batches,
    },
    {
      name: 'popular_posts_flush_failures_total',
      help: 'Flushes that failed. Nothing is lost: the next one goes on from there.',
      read: () => stats().flushesFailed,
    },
  ])
}
