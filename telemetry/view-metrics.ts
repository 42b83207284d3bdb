import type { PostViews } from '../views/view-api.ts'
import { type AnyRegistry, registerCollected } from './collected-metrics.ts'

/** Registers the metrics of the counting of views. */
export function measureViews({ stats }: Pick<PostViews, 'stats'>, register: AnyRegistry): void {
  registerCollected(register, 'counter', [
    {
      name: 'popular_posts_views_total',
      help: 'Views by outcome; dropped: lost, because Redis or the database did not reply.',
      label: 'outcome',
      read() {
        const { counted, repeat, bot, prefetch, ignored, limited, dropped } = stats()
        return { counted, repeat, bot, prefetch, ignored, limited, dropped }
      },
    },
    {
      name: 'popular_posts_views_flushed_total',
      help: 'Views that this process has counted in the database; with Redis, also views that other processes have recorded.',
      read: () => stats().flushed,
    },
    {
      name: 'popular_posts_flush_batches_total',
      help: 'Batches of views that this process has counted in the database.',
      read: () => stats().batches,
    },
    {
      name: 'popular_posts_flush_failures_total',
      help: 'Flushes that failed. No view is lost: the next flush counts the rest.',
      read: () => stats().flushesFailed,
    },
  ])
}
