import { type RawBuilder, sql } from 'kysely'
import { optionalColumn } from './optional-column.ts'
import { namedRelation } from './own-schema.ts'
import type { BlogReader } from './schema.ts'
import { isLive } from './window.ts'

interface Languages {
  /** The language of a post, as SQL: in lower case, with hyphens; may be null. */
  tag: RawBuilder<string | null>
  /** Whether an index has the tags: the one of `030-filter-indexes.ts`, or one of an operator. */
  isIndexed: boolean
}

/** A query: the usual order of an index of texts (its operator class). */
const TEXT_ORDER = sql`(select opclass.oid from pg_opclass as opclass join pg_am on pg_am.oid = opcmethod
  where opcname = 'text_ops' and opcnamespace = 'pg_catalog'::regnamespace and amname = 'btree')`

/** An adopted blog may lack the column. If it exists, it is named, because PostgreSQL uses no index for an optional column. */
async function findLanguages(db: BlogReader): Promise<Languages> {
  const posts = namedRelation('posts')
  const rows = await db
    .selectNoFrom([
      sql<number>`(select count(*)::int from pg_attribute where attrelid = ${posts} and attname = 'language' and not attisdropped)`.as(
        'columns',
      ),
      sql<number>`(select count(*)::int from pg_index where indrelid = ${posts} and indisvalid and indpred is null and indkey[0] = 0
        and indcollation[0] = 'pg_catalog."C"'::regcollation and indclass[0] = ${TEXT_ORDER}
        and pg_get_expr(indexprs, indrelid) like 'replace(lower(%language%')`.as('indexes'),
    ])
    .execute()
  const has = (key: 'columns' | 'indexes') => rows.some((row) => row[key] > 0)
  const column = has('columns') ? sql`posts.language::text` : optionalColumn('posts', 'language')
  // An entry of an index has 2,700 bytes at most. The language of a request has 500 characters at most.
  return { tag: sql`replace(lower(left(${column}, 500) collate "C"), '_', '-')`, isIndexed: has('indexes') }
}

/** The filter of a list by language. */
export interface LanguageFilter {
  /** A condition: the language of the post is the wanted one, or a variant of it (RFC 4647, basic filtering): `en` finds `en_GB`. */
  matches: RawBuilder<boolean>
  /** Whether an index finds the posts. */
  isIndexed: boolean
}

/**
 * Asks the catalog how posts of a language are found.
 * @param language in lower case, with hyphens. `undefined`: posts of any language, and without one; the catalog is not asked.
 */
export async function languageFilter(db: BlogReader, language: string | undefined): Promise<LanguageFilter> {
  if (language === undefined) return { matches: sql`true`, isIndexed: false }
  const { tag, isIndexed } = await findLanguages(db)
  // One range of the index: in ASCII, a dot follows a hyphen. A few other texts are in it, such as `en!`.
  const isNear = sql`${tag} >= ${language} and ${tag} < ${`${language}.`}`
  return { matches: sql`(${isNear} and (${tag} = ${language} or ${tag} >= ${`${language}-`}))`, isIndexed }
}

/** A query: the languages of live posts, in lower case, with hyphens. With an index it reads a few posts of each language. */
export async function liveLanguages(db: BlogReader): Promise<RawBuilder<{ tag: string }>> {
  const { tag, isIndexed } = await findLanguages(db)
  const posts = sql.table('posts')
  if (!isIndexed) return sql`(select distinct ${tag} as tag from ${posts} where ${isLive({})} and ${tag} is not null)`
  // `is true`: without statistics, PostgreSQL would also read the whole index of publication for each language.
  return sql`(
    with recursive known (tag) as (
      select min(${tag}) from ${posts}
      union all
      select (select min(${tag}) from ${posts} where ${tag} > known.tag) from known where known.tag is not null
    )
    select known.tag from known where exists (select from ${posts} where ${tag} = known.tag and ${isLive({})} is true)
  )`
}
