import { type Kysely, sql } from 'kysely'
import type { DatabaseProblem } from './content-problems.ts'
import type { OwnName } from './own-schema.ts'

/** What a column must be; `id`: any type that the columns of {@link COMPARED} can be compared with. */
type Kind = 'id' | 'text' | 'time' | 'boolean' | 'any'

const NAMED = { id: 'id', slug: 'text', name: 'text' } as const

/** The columns of the blog that queries need, by the table or view. */
const BLOG = {
  posts: {
    id: 'id',
    slug: 'text',
    title: 'text',
    url: 'text',
    excerpt: 'text',
    author_id: 'id',
    published_at: 'time',
    is_private: 'boolean',
    image_url: 'text',
    image_width: 'any',
    image_height: 'any',
    image_alt: 'text',
    reading_minutes: 'any',
  },
  authors: NAMED,
  categories: NAMED,
  tags: NAMED,
  post_categories: { post_id: 'id', category_id: 'id' },
  post_tags: { post_id: 'id', tag_id: 'id' },
  comments: { post_id: 'id', is_approved: 'boolean' },
} satisfies Partial<Record<OwnName, Record<string, Kind>>>

/** The tables of this package that every migration has. */
const COUNTERS: readonly OwnName[] = [
  'post_views_total',
  'post_views_daily',
  'post_views_hourly',
  'post_views_window',
  'post_views_touch',
  'post_views_batch',
  'popular_posts_change',
  'popular_posts_site',
]

/** Columns that queries compare. */
const COMPARED = [
  ['posts.id', 'post_views_total.post_id'],
  ['authors.id', 'posts.author_id'],
  ['posts.id', 'post_categories.post_id'],
  ['categories.id', 'post_categories.category_id'],
  ['posts.id', 'post_tags.post_id'],
  ['tags.id', 'post_tags.tag_id'],
  ['posts.id', 'comments.post_id'],
  ['posts.id', 'post_aliases.post_id'],
] as const

const TEXTS = ['text', 'character varying', 'character', 'name', 'citext']
const NUMBERS = ['smallint', 'integer', 'bigint', 'numeric']
const WITHOUT_ZONE = ['timestamp without time zone', 'date']
const WITH_ZONE = 'timestamp with time zone'

/** What the tables and views of a blog lack, and which of their columns have the wrong type. */
export interface BlogShape {
  /** Tables of this package that do not exist. */
  missingTables: string[]
  /** Views, or their columns, that do not exist: `tags`, `posts.url`. Columns of a missing view are not listed. */
  missingViews: string[]
  problems: DatabaseProblem[]
}

/**
 * Compares the tables and views with what the queries of this package need. It reads only the catalog of PostgreSQL.
 * @throws the error of PostgreSQL.
 */
export async function checkShape<DB>(db: Kysely<DB>): Promise<BlogShape> {
  const names = [...COUNTERS, ...(Object.keys(BLOG) as OwnName[]), 'post_aliases' as const]
  const quoted = names.map((name) => sql.table(name).compile(db).sql)
  const { rows } = await sql<{ relation: string; name: string; type: string }>`
    select wanted.relation, attname::text as name,
      format_type(case when typbasetype = 0 then pg_type.oid else typbasetype end, null) as type
    from unnest(${names}::text[], ${quoted}::text[]) as wanted (relation, quoted)
    join pg_attribute on attrelid = to_regclass(wanted.quoted) and attnum > 0 and not attisdropped
    join pg_type on pg_type.oid = atttypid`.execute(db)
  const typeOf = new Map(rows.map(({ relation, name, type }) => [`${relation}.${name}`, type]))
  const found = new Set(rows.map(({ relation }) => relation))
  const columns = Object.entries(BLOG).flatMap(([relation, kinds]) =>
    Object.entries(kinds).map(([name, kind]) => ({ relation, column: `${relation}.${name}`, kind })),
  )
  return {
    missingTables: COUNTERS.filter((name) => !found.has(name)),
    missingViews: [
      ...Object.keys(BLOG).filter((name) => !found.has(name)),
      ...columns.flatMap(({ relation, column }) => (found.has(relation) && !typeOf.has(column) ? [column] : [])),
    ],
    problems: [
      ...columns.flatMap(({ column, kind }) => wrongType(column, kind, typeOf.get(column))),
      ...COMPARED.flatMap(([one, other]) => incomparable([one, other], [typeOf.get(one), typeOf.get(other)])),
    ],
  }
}

const FITTING: Partial<Record<Kind, readonly string[]>> = { text: TEXTS, boolean: ['boolean'] }

function wrongType(subject: string, kind: Kind, type: string | undefined): DatabaseProblem[] {
  if (type === undefined) return []
  if (kind === 'time' && WITHOUT_ZONE.includes(type)) {
    const message = `a column has the type ${type}, whose times depend on the time zone of each session: name its zone in the view (${subject} at time zone 'Europe/Vienna')`
    return [{ subject, message }]
  }
  const fitting = kind === 'time' ? [WITH_ZONE] : (FITTING[kind] ?? [type])
  if (fitting.includes(type)) return []
  return [{ subject, message: `a column has the type ${type}, expected ${fitting[0]}: convert it in the view` }]
}

function incomparable(columns: readonly [string, string], types: readonly (string | undefined)[]): DatabaseProblem[] {
  const [first, second] = types.map((type) => type && family(type))
  if (first === undefined || second === undefined || first === second) return []
  const message = `two columns are compared, and have the types ${types.join(' and ')}: convert one of them in its view`
  return [{ subject: columns.join(', '), message }]
}

/** Types of one family can be compared. */
function family(type: string): string {
  if (NUMBERS.includes(type)) return 'number'
  return TEXTS.includes(type) ? 'text' : type
}
