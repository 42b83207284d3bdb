import { sql } from 'kysely'
import t from 'tap'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { startRedis } from '../helpers/redis.ts'

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
    for (const url of [...urls, ...urls]) {
      const program = runProgram(t, 'test/fixtures/lambda-start.ts', {
        env: { DATABASE_URL: url, REDIS_URL: redis.url, LOG_LEVEL: 'silent' },
        isCovered: false,
      })
      const [, posts] = await program.says(/posts: (\d+)/, 60_000)
      lengths.push(Number(posts))
    }
    t.same(lengths, [3, 5, 3, 5])
  },
)
