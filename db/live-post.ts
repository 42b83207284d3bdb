import { sql } from 'kysely'
import type { BlogReader } from './schema.ts'
import { isLive } from './window.ts'

/** The id of the live post with this slug, as text; `undefined`: there is none. */
export async function findLivePost(db: BlogReader, slug: string, nowMs: number): Promise<string | undefined> {
  // PostgreSQL's text cannot hold NUL.
  if (slug.includes('\0')) return undefined
  const post = await db
    .selectFrom('posts')
    .where('slug', '=', slug)
    .where(isLive({ nowMs }))
    .select(sql<string>`posts.id::text`.as('id'))
    // A view may have two posts with one slug: views count for the one that was published last.
    .orderBy('posts.published_at', 'desc')
    .orderBy('posts.id', 'desc')
    .executeTakeFirst()
  return post?.id
}
