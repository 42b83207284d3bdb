import { expressionBuilder } from 'kysely'
import { boundedText, MAX_LINKS } from './bounded.ts'
import type { BlogTables } from './schema.ts'

/** A query for the categories of `posts`, by name. A part of a query that has that table. */
export const postCategories = expressionBuilder<BlogTables, 'posts'>()
  .selectFrom('categories')
  .innerJoin('post_categories as link', 'link.category_id', 'categories.id')
  .whereRef('link.post_id', '=', 'posts.id')
  .where('categories.slug', 'is not', null)
  .select([boundedText('categories.name', 'categories.slug').as('name'), boundedText('categories.slug').as('slug')])
  // A view may have a category, or a link, twice.
  .distinct()
  .orderBy('name')
  .orderBy('slug')
  .limit(MAX_LINKS)
