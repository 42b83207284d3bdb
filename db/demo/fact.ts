import type { Kysely } from 'kysely'
import type { BlogTables } from '../schema.ts'

/** Whether the posts are those of the demo. */
export async function isDemoBlog(db: Kysely<BlogTables>): Promise<boolean> {
  const fact = await db.selectFrom('site_facts').select('value').where('name', '=', 'demo').executeTakeFirst()
  return fact?.value === 'filled'
}
