import { sql } from 'kysely'
import { MAX_SLUG_LENGTH } from '../lib/slug-forms.ts'
import { CATEGORY_TREE, categoryTree } from './category-tree.ts'
import { HAS_CO_AUTHORS } from './co-authors.ts'
import { liveLanguages } from './language.ts'
import { optionalColumn } from './optional-column.ts'
import type { BlogReader } from './schema.ts'
import { isLive } from './window.ts'

/** The slugs by which a list can be filtered. A list with another slug is empty, and causes no query. */
export interface FilterSlugs {
  /** Slugs of categories with a live post, in themselves or in a category below them. */
  categories: string[]
  /** Slugs of tags with a live post. */
  tags: string[]
  /** Slugs of authors with a live post. */
  authors: string[]
  /** Languages of live posts, as BCP 47 tags. Default: none. */
  languages?: string[] | undefined
}

/** The most bytes of a slug by which a list can be filtered: three for each UTF-16 unit. */
const MAX_SLUG_BYTES = 3 * MAX_SLUG_LENGTH

/**
 * The slugs of categories, tags and authors with a live post, and the languages of these posts. All
 * other slugs are secret (login names, drafts): for a reader they must be indistinguishable from slugs that do not exist.
 */
export async function findFilters(db: BlogReader): Promise<FilterSlugs> {
  const languages = await liveLanguages(db)
  const rows = await db
    .with(CATEGORY_TREE, () => categoryTree())
    // Not materialized: for a slug, PostgreSQL may look for one live post, instead of reading all posts.
    .with(
      (cte) => cte('live').notMaterialized(),
      (cte) =>
        cte
          .selectFrom('posts')
          .where(isLive({}))
          .select(['posts.id', 'posts.author_id', optionalColumn('posts', 'co_author_ids').as('co_author_ids')]),
    )
    .with('used', (cte) =>
      cte
        .selectFrom('categories')
        .where(
          sql<boolean>`exists (
            select from ${sql.table('post_categories')} link join live on live.id = link.post_id where link.category_id = categories.id
          )`,
        )
        .select('categories.id'),
    )
    .with('filters', (cte) =>
      cte
        .selectFrom('categories')
        .where(sql<boolean>`id in (select root_id from category_tree where id in (select id from used))`)
        .select((row) => ['slug', row.val('categories').as('kind')])
        .unionAll(
          cte
            .selectFrom('tags')
            .where(
              sql<boolean>`exists (
                select from ${sql.table('post_tags')} link join live on live.id = link.post_id where link.tag_id = tags.id
              )`,
            )
            .select((row) => ['slug', row.val('tags').as('kind')]),
        )
        .unionAll(
          cte
            .selectFrom('authors')
            .where(
              sql<boolean>`exists (select from live where live.author_id = authors.id)
                or id::text in (select unnest(co_author_ids::text[]) from live where ${HAS_CO_AUTHORS})`,
            )
            .select((row) => ['slug', row.val('authors').as('kind')]),
        )
        .unionAll(
          cte
            .selectFrom(languages.as('language'))
            .select((row) => ['language.tag as slug', row.val('languages').as('kind')]),
        ),
    )
    .selectFrom('filters')
    // Leaves out null, too. A request cannot have a longer slug, and the cache refuses too large a list of them.
    .where(sql<boolean>`octet_length(slug) <= ${MAX_SLUG_BYTES}`)
    .select(['slug', 'kind'])
    .execute()
  const slugsOf = (kind: string) => rows.filter((row) => row.kind === kind).map((row) => row.slug)
  return {
    categories: slugsOf('categories'),
    tags: slugsOf('tags'),
    authors: slugsOf('authors'),
    languages: slugsOf('languages'),
  }
}
