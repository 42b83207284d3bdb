import { type RawBuilder, sql } from 'kysely'
import { optionalColumn } from './optional-column.ts'

/**
 * A condition: the language of the post is this one, or a variant of it (RFC 4647, basic filtering): `en` finds `en_GB`.
 * @param language in lower case, with hyphens.
 */
export function isInLanguage(language: string): RawBuilder<boolean> {
  return sql`exists (
    select from (
      select replace(lower(${optionalColumn('posts', 'language')} collate "C"), '_', '-') as tag
    ) as post where tag = ${language} or starts_with(tag, ${`${language}-`})
  )`
}
