import type { Kysely } from 'kysely'
import type { Test } from 'tap'
import { addViews, bucketStart } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { readConfig } from '../../service/config.ts'
import { buildService } from '../../service/service.ts'

/**
 * Fills a small blog: `post-1` … `post-N`, with most views today for `post-1`. Odd posts are in the category `odd`, all
 * posts are by `ann`, and the first three have the tag `start`.
 */
export async function fillBlog(db: Kysely<Database>, posts: number): Promise<void> {
  const nowMs = Date.now()
  const numbers = Array.from({ length: posts }, (_none, index) => index + 1)
  const author = await db
    .insertInto('authors')
    .values({ slug: 'ann', name: 'Ann Ω' })
    .returning('id')
    .executeTakeFirstOrThrow()
  const [odd, start] = [
    await db.insertInto('categories').values({ slug: 'odd', name: 'Odd' }).returning('id').executeTakeFirstOrThrow(),
    await db.insertInto('tags').values({ slug: 'start', name: 'Start' }).returning('id').executeTakeFirstOrThrow(),
  ]
  const rows = numbers.map((number) => ({
    slug: `post-${number}`,
    title: `Post ${number}`,
    url: `/posts/post-${number}`,
    author_id: author.id,
    published_at: new Date(nowMs - number * 3_600_000),
  }))
  const inserted = await db.insertInto('posts').values(rows).returning(['id', 'slug']).execute()
  const idOf = (number: number) => String(inserted.find(({ slug }) => slug === `post-${number}`)?.id)
  const oddLinks = numbers
    .filter((number) => number % 2 === 1)
    .map((number) => ({ post_id: idOf(number), category_id: odd.id }))
  await db.insertInto('post_categories').values(oddLinks).execute()
  await db
    .insertInto('post_tags')
    .values(numbers.slice(0, 3).map((number) => ({ post_id: idOf(number), tag_id: start.id })))
    .execute()
  const buckets = numbers.map((number) => ({
    postId: idOf(number),
    bucketStartMs: bucketStart(nowMs),
    views: 1000 - number,
  }))
  await addViews(db, {
    timeZone: 'UTC',
    nowMs,
    buckets,
  })
}

/** Creates the whole service on a database. The service does not listen, and closes when the test ends. */
export async function createService(t: Test, databaseUrl: string, variables: NodeJS.ProcessEnv = {}) {
  const app = await buildService(readConfig({ LOG_LEVEL: 'silent', ...variables }), databaseUrl)
  t.teardown(() => app.close())
  return app
}
