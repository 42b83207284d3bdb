import { type RawBuilder, sql } from 'kysely'
import { isOneOf } from './category-tree.ts'
import { hasAuthor } from './co-authors.ts'
import { isInLanguage } from './language.ts'
import type { RankingQuery } from './ranking-query.ts'
import { sqlNow } from './window-query.ts'

/** The numbers by which the top of an index is read. */
export const SIZES = {
  /** After this many posts for each post of the list, an index is read no further. */
  enough: 8,
  /** Of this many posts of a category or tag, or fewer, each is looked up: as fast as to read the top of the indexes. */
  few: 2_000,
  /** Of this many, or fewer, all links are read first. Posts of a filter with more are found soon at the top of an index. */
  many: 30_000,
}

/** The name and the columns of the query of {@link linkedPosts}. */
export const LINKED = 'linked(post_id)'
/** The name and the columns of the query of {@link countLinked}. */
export const LINKED_COUNT = 'linked_count(posts)'

/** A condition: the row of `post_categories` is of one of the categories, or of one below them. */
const isLinkOf = (slugs: readonly string[]) =>
  sql<boolean>`category_id in (select id from category_tree where ${isOneOf('root', slugs)})`

/** A query: the posts of the category, or of the tag, live or not. Of more than `many`, some are missing. */
export function linkedPosts(
  { category = [], tag }: RankingQuery,
  { many }: typeof SIZES,
): RawBuilder<{ post_id: string }> {
  const links =
    tag === undefined
      ? sql`${sql.table('post_categories')} where ${isLinkOf(category)}`
      : sql`${sql.table('post_tags')} where tag_id in (select id from ${sql.table('tags')} where ${isOneOf('slug', tag)})`
  return sql`(select post_id from ${links} limit ${many + 1}::bigint)`
}

/** A query: the number of rows of `linked`. */
export const countLinked: RawBuilder<{ posts: string }> = sql`(select count(*) from linked)`

/** How a list is read. */
export interface Reading {
  /** How many rows are read from the top of an index, at most. */
  reach: RawBuilder<number>
  /** A condition: the post with the id `post_id` may match. It needs no look-up of the post. */
  mayMatch: RawBuilder<boolean>
  /** A condition: so few posts may match that each of them can be looked up. */
  areFew: RawBuilder<boolean>
}

/** How a list is read: by the number of posts of its category or tag, if it has one. */
export function readingOf({ category, tag }: RankingQuery, reach: number, { few, many }: typeof SIZES): Reading {
  const all = sql<number>`${reach}::bigint`
  if (reach === 0 || (category === undefined && tag === undefined))
    return { reach: all, mayMatch: sql`true`, areFew: sql`true` }
  const areIn = (most: number) => sql<boolean>`(select posts <= ${most}::bigint from linked_count)`
  return {
    reach: sql`(case when ${areIn(few)} then 0 else ${all} end)`,
    mayMatch: sql`(not ${areIn(many)} or post_id in (select post_id from linked))`,
    areFew: areIn(many),
  }
}

/** A condition: the post matches each filter of the query. `category_tree` has the categories. */
export function matchesFilters({
  category,
  tag,
  author,
  excludeCategory,
  language,
  publishedWithin,
  nowMs,
}: RankingQuery) {
  const conditions = [sql<boolean>`true`]
  const isInCategory = (slugs: readonly string[]) => sql<boolean>`exists (
    select from ${sql.table('post_categories')} link where link.post_id = posts.id and ${isLinkOf(slugs)})`
  if (category !== undefined) conditions.push(isInCategory(category))
  if (excludeCategory !== undefined) conditions.push(sql`not ${isInCategory(excludeCategory)}`)
  if (tag !== undefined) {
    conditions.push(sql`exists (
      select from ${sql.table('post_tags')} link join ${sql.table('tags')} on tags.id = link.tag_id
      where link.post_id = posts.id and ${isOneOf('tags.slug', tag)})`)
  }
  if (author !== undefined) conditions.push(hasAuthor(author))
  if (language !== undefined) conditions.push(isInLanguage(language))
  if (publishedWithin !== undefined) {
    conditions.push(sql`posts.published_at > ${sqlNow(nowMs)} - ${publishedWithin}::integer * interval '24 hours'`)
  }
  return sql<boolean>`(${sql.join(conditions, sql` and `)})`
}
