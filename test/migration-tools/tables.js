import { bigserial, pgTable, timestamp, varchar } from 'drizzle-orm/pg-core'

export const posts = pgTable('posts', {
  id: bigserial({ mode: 'number' }).primaryKey(),
  slug: varchar({ length: 80 }).unique(),
  title: varchar({ length: 80 }),
  publishedAt: timestamp('published_at', { withTimezone: true }),
})
