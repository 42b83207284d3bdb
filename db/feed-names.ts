import { sql, type Transaction } from 'kysely'
import { MAX_SLUG_LENGTH } from '../lib/slug-forms.ts'
import type { Database } from './schema.ts'

/** A table of links between posts and what has a name. */
export type LinkedTable = 'post_categories' | 'post_tags'

/** The columns of what a post is linked to. */
const COLUMNS = { post_categories: 'category_id', post_tags: 'tag_id' } as const

/**
 * Finds the authors, categories or tags with these names, and creates the missing ones. A row is recognized by its name,
 * whatever the letter case, else by the slug that its name makes. Its name is not changed.
 * @returns the ids by the names.
 */
export async function namedRows(
  trx: Transaction<Database>,
  table: 'authors' | 'categories' | 'tags',
  names: readonly string[],
): Promise<Map<string, string>> {
  const wanted = [...new Set(names)].map((name) => ({ name, slug: slugOfName(name) }))
  const lower = wanted.map(({ name }) => name.toLowerCase())
  const slugs = wanted.map(({ slug }) => slug)
  const find = async () => {
    const rows = await trx
      .selectFrom(table)
      .where(sql<boolean>`(lower(name) = any(${lower}::text[]) or slug = any(${slugs}::text[]))`)
      .select([sql<string>`id::text`.as('id'), 'name', 'slug'])
      .orderBy('id', 'desc')
      .execute()
    // Of two rows with one name it is the first.
    const byName = new Map(rows.map((row) => [row.name.toLowerCase(), row.id]))
    const bySlug = new Map(rows.map((row) => [row.slug, row.id]))
    return new Map(
      wanted.flatMap(({ name, slug }) => {
        const id = byName.get(name.toLowerCase()) ?? bySlug.get(slug)
        return id === undefined ? [] : [[name, id] as const]
      }),
    )
  }
  const found = await find()
  const missing = wanted.filter(({ name }) => !found.has(name))
  if (missing.length === 0) return found
  await trx
    .insertInto(table)
    .values(missing.map(({ name, slug }) => ({ name, slug })))
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .execute()
  return find()
}

/** Signs that tell names apart: C, C++ and C#. */
const SIGNS: ReadonlyMap<string, string> = new Map([
  ['+', '-plus'],
  ['#', '-sharp'],
])

/** `Éditions du Soir` -> `editions-du-soir`. A name without letters and digits is its own slug. */
function slugOfName(name: string): string {
  const slug = name
    .normalize('NFKD')
    // Accents of Latin, Greek and Cyrillic; the marks of other scripts are letters.
    .replace(/[\u0300-\u036f]/g, '')
    .normalize('NFC')
    .toLowerCase()
    .replace(/[+#]/g, (sign) => String(SIGNS.get(sign)))
    .replace(/[^\p{L}\p{N}\p{M}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, MAX_SLUG_LENGTH)
  return slug === '' ? name : slug
}

/**
 * Makes the links of posts the wanted ones.
 * @param wanted the ids of the categories or tags, by the id of the post. Other posts keep their links.
 * @returns the ids of the posts whose links have changed.
 */
export async function replaceLinks(
  trx: Transaction<Database>,
  table: LinkedTable,
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<Set<string>> {
  const column = sql.ref(COLUMNS[table])
  const { rows } = await sql<{ postId: string; id: string }>`
    select post_id::text as "postId", ${column}::text as id from ${sql.table(table)}
    where post_id = any(${[...wanted.keys()]}::bigint[])`.execute(trx)
  const present = new Set(rows.map(({ postId, id }) => `${postId} ${id}`))
  const removed = rows.filter(({ postId, id }) => wanted.get(postId)?.has(id) !== true)
  const added = [...wanted]
    .flatMap(([postId, ids]) => [...ids].map((id) => ({ postId, id })))
    .filter(({ postId, id }) => !present.has(`${postId} ${id}`))
  const pairs = (links: readonly { postId: string; id: string }[]) =>
    sql`unnest(${links.map(({ postId }) => postId)}::bigint[], ${links.map(({ id }) => id)}::bigint[])`
  if (removed.length > 0)
    await sql`delete from ${sql.table(table)} where (post_id, ${column}) in (select * from ${pairs(removed)})`.execute(
      trx,
    )
  if (added.length > 0)
    await sql`
      insert into ${sql.table(table)} (post_id, ${column}) select * from ${pairs(added)} on conflict do nothing`.execute(
      trx,
    )
  return new Set([...removed, ...added].map(({ postId }) => postId))
}
