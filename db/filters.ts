import type { Kysely } from 'kysely'
import type { Tables } from './popular-posts.ts'

/** The slugs that a list can be filtered by: all that exist. */
export interface Filters {
  categories: string[]
  tags: string[]
  authors: string[]
}

/** All slugs of categories, tags and authors, in one statement. */
export async function findFilters(db: Kysely<Tables>): Promise<Filters> {
  const rows = await db
    .withoutPlugins()
    .selectFrom('categories')
    .select((row) => ['slug', row.val('categories').as('kind')])
    .unionAll(
      db
        .withoutPlugins()
        .selectFrom('tags')
        .select((row) => ['slug', row.val('tags').as('kind')]),
    )
    .unionAll(
      db
        .withoutPlugins()
        .selectFrom('authors')
        .select((row) => ['slug', row.val('authors').as('kind')]),
    )
    .execute()
  const slugsOf = (kind: string) => rows.filter((row) => row.kind === kind).map((row) => row.slug)
  return { categories: slugsOf('categories'), tags: slugsOf('tags'), authors: slugsOf('authors') }
}
