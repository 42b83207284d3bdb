import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { inOwnSchema } from '../../../db/own-schema.ts'
import { findPopularPosts } from '../../../db/ranking.ts'
import { runIn } from '../../helpers/checkout.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { npmInstall } from '../../helpers/tarball.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'
import { runAdopt } from './run-adopt.ts'

t.setTimeout(600_000)

/** The last version whose command line runs on an engine in WebAssembly, from the registry of npm alone. */
const PRISMA = '6.19.3'

const schemaOf = (length: number) => `
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
model User {
  id    Int    @id @default(autoincrement())
  name  String
  posts Post[]
}
model Post {
  id        String   @id @default(cuid())
  createdAt DateTime @default(now())
  title     String   @db.VarChar(${length})
  slug      String   @unique
  published Boolean  @default(false)
  author    User?    @relation(fields: [authorId], references: [id])
  authorId  Int?
}
`
const CONFIG = `
import { PrismaPg } from '@prisma/adapter-pg'
export default {
  experimental: { adapter: true },
  engine: 'js',
  schema: 'schema.prisma',
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL }),
}
`

t.test('Prisma does not see the schema of this package, and changes tables after --drop', async (t) => {
  const { db, pool, url } = await createTestDatabase(t, { migrate: false })
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  await writeFile(join(folder, 'prisma.config.ts'), CONFIG)
  await writeFile(join(folder, 'schema.prisma'), schemaOf(100))
  const packages = [`prisma@${PRISMA}`, `@prisma/adapter-pg@${PRISMA}`]
  await runIn(folder, 'npm', ...npmInstall, '--ignore-scripts', ...packages)
  // The command line looks for native engines, which npm does not have, and does not use them.
  const engines = ['QUERY_ENGINE_LIBRARY', 'SCHEMA_ENGINE_BINARY'].map(
    (name) => `PRISMA_${name}=${join(folder, 'schema.prisma')}`,
  )
  const variables = [`DATABASE_URL=${url}`, 'CHECKPOINT_DISABLE=1', ...engines]
  const prisma = (...args: string[]) => runIn(folder, 'env', ...variables, 'node_modules/.bin/prisma', ...args)
  const list = () =>
    findPopularPosts(
      inOwnSchema(db, () => 'popular_posts'),
      { sort: 'views', days: 0, limit: 9, timeZone: 'UTC' },
    )

  await prisma('db', 'push', '--skip-generate')
  await pool.query(`insert into "User" (name) values ('Ann');
    insert into "Post" (id, title, slug, published, "authorId") values ('ckpost1', 'One', 'one', true, 1)`)
  const printed = await prisma('db', 'pull', '--print')
  t.match((await runAdopt(t, url, ['--apply'])).stdout, /The blog is connected/)
  t.match(await list(), [{ id: 'ckpost1', slug: 'one', author: { name: 'Ann' } }])
  t.equal(await prisma('db', 'pull', '--print'), printed, 'it reads the same tables')
  t.match(await prisma('db', 'push', '--skip-generate'), /already in sync/, 'it finds nothing to change')

  await writeFile(join(folder, 'schema.prisma'), schemaOf(200))
  await t.rejects(prisma('db', 'push', '--skip-generate'), { message: /used by a view/ })
  await runAdopt(t, url, ['--drop'])
  t.match(await prisma('db', 'push', '--skip-generate'), /now in sync/)
  await runAdopt(t, url, ['--apply'])
  t.match(await list(), [{ id: 'ckpost1', slug: 'one' }])
  await pool.query(`update "Post" set published = false`)
  t.same(await list(), [])
})
