import { type Kysely, sql } from 'kysely'
import type { DatabaseProblem } from './content-problems.ts'
import { ownRelation } from './own-schema.ts'

/** The types that columns of the view `posts` may have, as PostgreSQL names them, and what other types do. */
const TYPES: Readonly<Record<string, readonly [types: readonly string[], effect: string]>> = {
  published_at: [
    ['timestamp with time zone'],
    "a time without a zone is another one in each session: convert it, such as with at time zone 'UTC'",
  ],
  is_private: [['boolean'], 'it cannot be tested'],
  image_width: [['integer', 'smallint', 'bigint', 'numeric'], 'it is shown as unknown'],
  image_height: [['integer', 'smallint', 'bigint', 'numeric'], 'it is shown as unknown'],
  reading_minutes: [['integer', 'smallint', 'bigint', 'numeric'], 'it is shown as 0'],
}

/** Columns of the view `posts` of an adopted blog whose type does not fit. */
export async function viewTypeProblems<DB>(db: Kysely<DB>): Promise<DatabaseProblem[]> {
  const { rows } = await sql<{ name: string; type: string }>`
    select attname::text as name, format_type(atttypid, null) as type
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where attrelid = ${ownRelation('posts')} and relkind = 'v' and attnum > 0`.execute(db)
  return rows.flatMap(({ name, type }) => {
    const [types, effect] = TYPES[name] ?? [[type], '']
    return types.includes(type)
      ? []
      : [
          {
            subject: `posts.${name}`,
            message: `a column of the view posts has the type ${type}, expected ${types[0]}: ${effect}`,
          },
        ]
  })
}
