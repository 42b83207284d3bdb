import type { Kysely } from 'kysely'
import type { BlogTables } from '../../db/schema.ts'
import { demoPosts } from './posts.ts'

const demoSlugs = demoPosts.map(({ slug }) => slug)

/** Whether the database has the posts of the demo. */
export async function hasDemo(db: Kysely<BlogTables>): Promise<boolean> {
  const fact = await db.selectFrom('site_facts').select('value').where('name', '=', 'demo').executeTakeFirst()
  return fact?.value === 'filled'
}

/** Whether the database has the posts of the demo and no other posts: one real post ends the demo. */
export async function isDemoBlog(db: Kysely<BlogTables>): Promise<boolean> {
  if (!(await hasDemo(db))) return false
  const real = await db.selectFrom('posts').select('id').where('slug', 'not in', demoSlugs).limit(1).executeTakeFirst()
  return real === undefined
}
