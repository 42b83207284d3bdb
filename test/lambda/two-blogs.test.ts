import type { Context } from 'aws-lambda'
import { sql } from 'kysely'
import t from 'tap'
import { fillBlog } from '../helpers/blog.ts'
import { httpApiEvent } from '../helpers/lambda/events.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'

t.teardown(() => {
  // AWS ends the process of a function without closing it. Here its open connections would keep this process alive.
  setTimeout(() => process.exit(), 1_000).unref()
})

t.test(
  'two blogs with one prefix: the handler of each serves its own posts, also after another cold start',
  async (t) => {
    const redis = await startRedis()
    t.teardown(redis.stop)
    const urls: string[] = []
    for (const [id, posts] of [
      ['one', 3],
      ['two', 5],
    ] as const) {
      const { db, url } = await createTestDatabase(t)
      await fillBlog(db, posts)
      // Databases of tests are copies of one template.
      await sql`update popular_posts_migration set timestamp = ${id}`.execute(db)
      urls.push(url)
    }
    const lengths: number[] = []
    for (const [start, url] of [...urls, ...urls].entries()) {
      Object.assign(process.env, { DATABASE_URL: url, REDIS_URL: redis.url, LOG_LEVEL: 'silent' })
      // Each evaluation of the module is a cold start.
      const { http } = (await import(`../../lambda.ts?${start}`)) as typeof import('../../lambda.ts')
      const { body } = await http(httpApiEvent('/posts/popular'), {} as Context)
      lengths.push((JSON.parse(String(body)) as unknown[]).length)
    }
    t.same(lengths, [3, 5, 3, 5])
  },
)
