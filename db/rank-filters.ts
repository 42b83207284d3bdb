import { type RawBuilder, sql } from 'kysely'
import { isOneOf } from './category-tree.ts'
import { HAS_CO_AUTHORS, hasAuthor, isAuthor } from './co-authors.ts'
import type { LanguageFilter } from './language.ts'
import type { RankingQuery } from './ranking-query.ts'
import { sqlNow } from './window-query.ts'

/** The numbers by which the top of an index is read. */
export const SIZES = {
  /** After this many posts for each post of the list, an index is read no further. */
  enough: 8,
  /** Of this many posts of a filter, or fewer, each is looked up: as fast as to read the top of the indexes. */
  few: 2_000,
  /** Of this many, or fewer, all ids are read first. Posts of a filter with more are found soon at the top of an index. */
  many: 30_000,
}

/** The name and the columns of the query of {@link linkedPosts}. */
export const LINKED = 'linked(post_id)'
/** The name and the columns of the query of {@link countLinked}. */
export const LINKED_COUNT = 'linked_count(posts)'

/** A condition: the row of `post_categories` is of one of the categories, or of one below them. */
const isLinkOf = (slugs: readonly string[]) =>
  sql<boolean>`category_id in (select id from category_tree where ${isOneOf('root', slugs)})`

/** A condition: the post was published in this many times 24 hours before the present. */
const isWithin = (days: number, nowMs: number | undefined) =>
  sql<boolean>`posts.published_at > ${sqlNow(nowMs)} - ${days}::integer * interval '24 hours'`

/**
 * A query: the posts of one filter of the query, live or not: the one that finds them fastest. Of more than `many`, some are
 * missing. Without such a filter there are none.
 */
export function linkedPosts(
  { category, tag, author, publishedWithin, language, nowMs }: RankingQuery,
  inLanguage: LanguageFilter,
  { many }: typeof SIZES,
): RawBuilder<{ post_id: string }> {
  const postsWith = (condition: RawBuilder<boolean>) =>
    sql`select posts.id from ${sql.table('posts')} where ${condition}`
  const linked = () => {
    if (tag !== undefined)
      return sql`select post_id from ${sql.table('post_tags')} where tag_id in (select id from ${sql.table('tags')} where ${isOneOf('slug', tag)})`
    if (category !== undefined)
      return sql`select post_id from ${sql.table('post_categories')} where ${isLinkOf(category)}`
    if (author !== undefined) return postsWith(isAuthor(author))
    if (publishedWithin !== undefined) return postsWith(isWithin(publishedWithin, nowMs))
    return postsWith(language === undefined ? sql`false` : inLanguage.matches)
  }
  return sql`(${linked()} limit ${many + 1}::bigint)`
}

/** A query: the number of rows of `linked`; more than `many`, if posts may be missing there. */
export function countLinked(
  { category, tag, author }: RankingQuery,
  { many }: typeof SIZES,
): RawBuilder<{ posts: string }> {
  const count = sql<{ posts: string }>`(select count(*) from linked)`
  if (author === undefined || category !== undefined || tag !== undefined) return count
  return sql<{ posts: string }>`(select case when ${HAS_CO_AUTHORS} then ${many + 1}::bigint else ${count} end)`
}

/** A query: the posts of `linked` that match, each looked up. `offset 0`: PostgreSQL estimates the number of their ids badly. */
export function eachLinked(isWanted: RawBuilder<boolean>, matches: RawBuilder<boolean>) {
  return sql<{ post_id: string; published_at: string }>`(
    select post_id, published_at from (select distinct post_id from linked where ${isWanted}) as named cross join lateral (
      select published_at from ${sql.table('posts')} where posts.id = post_id and ${matches} offset 0
    ) as post)`
}

/** How a list is read. */
export interface Reading {
  /** How many rows are read from the top of an index, at most. */
  reach: RawBuilder<number>
  /** A condition: the post with the id `post_id` may match. It needs no look-up of the post. */
  mayMatch: RawBuilder<boolean>
  /** A condition: `linked` has all posts of a filter, and so few that each of them is looked up, instead of reading all posts. */
  areFew: RawBuilder<boolean>
}

/** How a list is read: by the number of posts of its filter. */
export function readingOf(
  query: RankingQuery,
  inLanguage: LanguageFilter,
  reach: number,
  { few, many }: typeof SIZES,
): Reading {
  const { category, tag, author, publishedWithin, language, sort, days } = query
  const all = sql<number>`${reach}::bigint`
  const filters = [category, tag, author, publishedWithin]
  const areIn = (most: number) => sql<boolean>`(select posts <= ${most}::bigint from linked_count)`
  // To look up a post in the days of a window without a rollup, or in hours, takes longer.
  const isFast = sort === 'trending' || days === 0 ? sql`true` : sql`exists (select from rollup)`
  const areFew = sql<boolean>`(case when ${isFast} then ${areIn(many)} else ${areIn(Math.min(few, many))} end)`
  if (reach === 0) return { reach: all, mayMatch: sql`true`, areFew: sql`false` }
  const fromTop = (isOfFew: RawBuilder<boolean>) => sql<number>`(case when ${isOfFew} then 0 else ${all} end)`
  if (filters.every((filter) => filter === undefined)) {
    if (language === undefined) return { reach: all, mayMatch: sql`true`, areFew: sql`false` }
    // The top of an index has enough posts of a common language, so not all of its posts are counted.
    const isOfFew = sql<boolean>`(select count(*) <= ${few}::bigint from (select from linked limit ${few + 1}::bigint) as first)`
    return { reach: inLanguage.isIndexed ? fromTop(isOfFew) : all, mayMatch: sql`true`, areFew }
  }
  return {
    reach: fromTop(areIn(few)),
    mayMatch: sql`(not ${areIn(many)} or post_id in (select post_id from linked))`,
    areFew,
  }
}

/** A condition: the post matches each filter of the query. `category_tree` has the categories. */
export function matchesFilters(
  { category, tag, author, excludeCategory, publishedWithin, nowMs }: RankingQuery,
  inLanguage: LanguageFilter,
) {
  const conditions = [inLanguage.matches]
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
  if (publishedWithin !== undefined) {
    conditions.push(isWithin(publishedWithin, nowMs))
  }
  return sql<boolean>`(${sql.join(conditions, sql` and `)})`
}
