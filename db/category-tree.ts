import { type RawBuilder, sql } from 'kysely'
import { optionalColumn } from './optional-column.ts'

/** The name and the columns of the query of `categoryTree`. */
export const CATEGORY_TREE = 'category_tree(root_id, root, id)'

interface Row {
  root_id: string
  root: string
  id: string
}

/**
 * A query: each category (`root_id`, its slug `root`) with the ids of itself and of all categories below it. `union`
 * removes duplicates, so a circle of parents ends. The recursion is inside of it: in a `with recursive`, the
 * `categories` of a `RowGuard` would refer to themselves.
 * @param slugs only these roots. Default: all.
 */
export function categoryTree(slugs?: readonly string[]): RawBuilder<Row> {
  const isRoot = slugs === undefined ? sql`true` : isOneOf('categories.slug', slugs)
  return sql`(
    with recursive tree (root_id, root, id) as (
      select categories.id, categories.slug, categories.id from ${sql.table('categories')} where ${isRoot}
      union
      select tree.root_id, tree.root, child.id from tree
      join (select categories.id, ${optionalColumn('categories', 'parent_id')} as parent_id from ${sql.table('categories')}) as child
      on child.parent_id = tree.id::text
    )
    select root_id, root, id from tree
  )`
}

/** A condition: a column is one of these texts. */
export function isOneOf(column: string, texts: readonly string[]): RawBuilder<boolean> {
  return texts.length === 0 ? sql`false` : sql`${sql.ref(column)} in (${sql.join(texts)})`
}
