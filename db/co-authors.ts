import { type RawBuilder, sql } from 'kysely'
import { isOneOf } from './category-tree.ts'
import { optionalColumn } from './optional-column.ts'
import { ownRelation } from './own-schema.ts'

/**
 * Whether the view of an adopted blog has the column `co_author_ids`, the ids of all authors as an array. PostgreSQL computes
 * it once for a statement, not for each post.
 */
export const HAS_CO_AUTHORS = sql<boolean>`(select count(*) > 0 from pg_attribute
  where attrelid = ${ownRelation('posts')} and attname = 'co_author_ids' and not attisdropped)`

/** A condition: one of the authors with these slugs is the author of the post. Of several authors it is the first. */
export function isAuthor(slugs: readonly string[]): RawBuilder<boolean> {
  return sql`posts.author_id in (select id from ${sql.table('authors')} where ${isOneOf('authors.slug', slugs)})`
}

/** A condition: one of the authors with these slugs is the author of the post, or one of several. */
export function hasAuthor(slugs: readonly string[]): RawBuilder<boolean> {
  return sql`(${isAuthor(slugs)} or (${HAS_CO_AUTHORS} and exists (
    select from ${sql.table('authors')} where ${isOneOf('authors.slug', slugs)} and authors.id::text = any(${optionalColumn('posts', 'co_author_ids')}::text[]))))`
}
