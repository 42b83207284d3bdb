import { type RawBuilder, sql } from 'kysely'
import { optionalColumn } from './optional-column.ts'

/** The language tag of a post as `canonicalLanguage` of `lists/` writes it: lower case, with hyphens. Null: none. */
export const languageOfPost: RawBuilder<string | null> = sql`
  nullif(replace(lower(${optionalColumn('posts', 'language')} collate "C"), '_', '-'), '')`

/** A condition: the language of the post is this one, or a variant of it (RFC 4647, basic filtering): `en` finds `en-gb`. */
export function isInLanguage(language: string): RawBuilder<boolean> {
  return sql`exists (
    select from (select ${languageOfPost} as tag) as post where tag = ${language} or starts_with(tag, ${`${language}-`})
  )`
}
