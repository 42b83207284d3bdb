import { type Kysely, sql } from 'kysely'
import { slugForms } from '../lib/slug-forms.ts'

/** A post that was found by a slug. */
export interface FoundPost {
  /** The id, as text. */
  id: string
  /** Its slug in the database: the present one, where it was found by an earlier one. */
  slug: string
}

const ANY = sql<boolean>`true`

/**
 * Finds the posts with these slugs: by their own slug in any of its forms (see `slugForms`), else by an earlier one
 * (`post_aliases`). Of two posts with one slug it is the one that was published last.
 * @param condition which posts count. Default: all.
 * @returns posts by the given slugs. Slugs without a post are missing.
 */
export async function findPostsBySlug<DB>(
  db: Kysely<DB>,
  slugs: readonly string[],
  condition = ANY,
): Promise<Map<string, FoundPost>> {
  const found = new Map<string, FoundPost>()
  let missing = slugs.map((slug) => ({ slug, forms: slugForms(slug) })).filter(({ forms }) => forms.length > 0)

  function take(rows: readonly { form: string; slug: string; id: string }[]): void {
    const posts = new Map(rows.map(({ form, id, slug }) => [form, { id, slug }]))
    missing = missing.filter(({ slug, forms }) => {
      const form = forms.find((each) => posts.has(each))
      const post = form === undefined ? undefined : posts.get(form)
      if (post !== undefined) found.set(slug, post)
      return post === undefined
    })
  }

  if (missing.length === 0) return found
  const { rows } = await sql<{ form: string; slug: string; id: string; hasAliases: number }>`
    select * from (
      select posts.slug as form, posts.slug, posts.id::text as id, 0 as "hasAliases" from posts
      where posts.slug = any(${formsOf(missing)}::text[]) and ${condition}
      order by posts.published_at nulls first, posts.id
    ) as found
    union all
    select '', '', '', 1 where (
      select count(*) from pg_attribute
      where attrelid = to_regclass('post_aliases') and attname in ('slug', 'post_id') and not attisdropped
    ) = 2`.execute(db)
  take(rows)
  if (missing.length === 0 || !rows.some(({ hasAliases }) => Number(hasAliases) === 1)) return found
  const { rows: renamed } = await sql<{ form: string; slug: string; id: string }>`
    select alias.slug as form, posts.slug, posts.id::text as id
    from post_aliases as alias join posts on posts.id = alias.post_id
    where alias.slug = any(${formsOf(missing)}::text[]) and ${condition}
    order by posts.published_at nulls first, posts.id`.execute(db)
  take(renamed)
  return found
}

function formsOf(slugs: readonly { forms: string[] }[]): string[] {
  return [...new Set(slugs.flatMap(({ forms }) => forms))]
}
