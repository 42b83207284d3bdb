import { type Kysely, type OrderByItemBuilder, sql } from 'kysely'
import { slugForms } from '../lib/slug-forms.ts'
import { ownRelation } from './own-schema.ts'
import type { BlogReader, Database } from './schema.ts'

/** A post that was found by a slug. */
export interface FoundPost {
  /** The id, as text. */
  id: string
  /** Its slug in the database: the present one, where it was found by an earlier one. */
  slug: string
}

interface Row extends FoundPost {
  /** The slug by which the post was found; empty: no post, but a sign that there are earlier slugs. */
  form: string
}

const ANY = sql<boolean>`true`
const ID = sql<string>`posts.id::text`.as('id')
const HAS_ALIASES = sql`(
  select count(*) = 2 from pg_attribute
  where attrelid = ${ownRelation('post_aliases')} and attname in ('slug', 'post_id') and not attisdropped
)`
const LATEST_LAST = (order: OrderByItemBuilder) => order.nullsFirst()

/**
 * Finds the posts with these slugs: by their own slug in any of its forms (see `slugForms`), else by an earlier one
 * (`post_aliases`). Of two posts with one slug it is the one that was published last.
 * @param condition which posts count. Default: all.
 * @returns posts by the given slugs. Slugs without a post are missing.
 */
export async function findPostsBySlug(
  db: BlogReader,
  slugs: readonly string[],
  condition = ANY,
): Promise<Map<string, FoundPost>> {
  const found = new Map<string, FoundPost>()
  let missing = slugs.map((slug) => ({ slug, forms: slugForms(slug) })).filter(({ forms }) => forms.length > 0)

  function take(rows: readonly Row[]): void {
    const posts = new Map(rows.map(({ form, id, slug }) => [form, { id, slug }]))
    missing = missing.filter(({ slug, forms }) => {
      const form = forms.find((each) => posts.has(each))
      const post = form === undefined ? undefined : posts.get(form)
      if (post !== undefined) found.set(slug, post)
      return post === undefined
    })
  }

  if (missing.length === 0) return found
  const rows = await db
    .with('found', (cte) =>
      cte
        .selectFrom('posts')
        .where(sql<boolean>`posts.slug = any(${formsOf(missing)}::text[])`)
        .where(condition)
        .select(['posts.slug as form', 'posts.slug', ID])
        .orderBy('posts.published_at', LATEST_LAST)
        .orderBy('posts.id'),
    )
    .selectFrom('found')
    .selectAll()
    .unionAll(sql<Row>`select '', '', '' where ${HAS_ALIASES}`)
    .execute()
  take(rows)
  if (missing.length === 0 || !rows.some(({ form }) => form === '')) return found
  take(
    await db
      .selectFrom('post_aliases as alias')
      .innerJoin('posts', 'posts.id', 'alias.post_id')
      .where(sql<boolean>`alias.slug = any(${formsOf(missing)}::text[])`)
      .where(condition)
      .select(['alias.slug as form', 'posts.slug', ID])
      .orderBy('posts.published_at', LATEST_LAST)
      .orderBy('posts.id')
      .execute(),
  )
  return found
}

/** An earlier slug of a post, and its present one. */
export interface Alias {
  slug: string
  present: string
}

/** The most earlier slugs of the posts of one list. */
const MAX_ALIASES = 1_000

/** Whether the blog keeps earlier slugs. */
export async function hasAliases(db: Kysely<Database>): Promise<boolean> {
  const { rows } = await sql<{ has: boolean }>`select ${HAS_ALIASES} as has`.execute(db)
  return rows.some(({ has }) => has)
}

/**
 * Returns the earlier slugs of posts that are not the slug of another post now. The blog must keep them.
 * @param slugs the present slugs of the posts. Default: all posts.
 */
export async function findAliases(db: Kysely<Database>, slugs?: readonly string[]): Promise<Alias[]> {
  return db
    .selectFrom('post_aliases as alias')
    .innerJoin('posts', 'posts.id', 'alias.post_id')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('posts as other').select('other.id').whereRef('other.slug', '=', 'alias.slug'))),
    )
    .$if(slugs !== undefined, (query) =>
      query.where(sql<boolean>`posts.slug = any(${slugs}::text[])`).limit(MAX_ALIASES),
    )
    .select(['alias.slug', 'posts.slug as present'])
    .execute()
}

function formsOf(slugs: readonly { forms: string[] }[]): string[] {
  return [...new Set(slugs.flatMap(({ forms }) => forms))]
}
