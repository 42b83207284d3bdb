import { sql } from 'kysely'
import { MAX_SLUG_LENGTH } from '../lib/slug-forms.ts'
import { ownRelation } from './own-schema.ts'
import type { BlogReader } from './schema.ts'

/** A problem of the database that an administrator should fix. */
export interface DatabaseProblem {
  /** The object of the problem: a table, a function, the id of a post. */
  subject: string
  /** The problem, and what to do. */
  message: string
}

/** The greatest number of problems that are reported of one kind. */
export const MAX_PER_KIND = 10

/** Why a published post is in no list, or cannot be counted. The order is that of the check. */
const POST_PROBLEMS = {
  undated: 'a post is in no list, because its published_at is -infinity: give it a date',
  unclear: 'a post is in no list, because its is_private is null: make it true or false',
  nameless: 'a post is in no list, because its id, slug or url is null: give it one, or no published_at',
  untitled: 'a post has no title in lists, because its title is null: give it one, also in the view (coalesce)',
  uncountable: `the views of a post cannot be counted, because its slug is empty, a dot, two dots, or longer than ${MAX_SLUG_LENGTH} characters: give it another slug`,
}

const DUPLICATES = {
  id: 'has this id more than once, as a join gives it: lists show one of the rows; correct the view',
  slug: 'has more than one row with this slug: give each its own; until then a filter has the posts of all, and views of a post count for the one that was published last',
}

/** Problems of posts, authors, categories, tags and counters. */
export async function contentProblems(db: BlogReader): Promise<DatabaseProblem[]> {
  return [
    ...(await postProblems(db)),
    ...(await duplicates(db)),
    ...(await entities(db)),
    ...(await invalidCounters(db)),
  ]
}

async function postProblems(db: BlogReader): Promise<DatabaseProblem[]> {
  const problem = sql<keyof typeof POST_PROBLEMS>`case
    when posts.published_at = '-infinity' then 'undated'
    when posts.is_private is null then 'unclear'
    when posts.id is null or posts.slug is null or posts.url is null then 'nameless'
    when posts.slug in ('', '.', '..') or length(posts.slug) > ${MAX_SLUG_LENGTH} then 'uncountable'
    when posts.title is null then 'untitled'
  end`
  const posts = await db
    .selectFrom('posts')
    .where(sql<boolean>`posts.published_at is not null and posts.is_private is not true and ${problem} is not null`)
    .select([sql<string>`coalesce(posts.id::text, 'null')`.as('subject'), problem.as('problem')])
    .limit(MAX_PER_KIND)
    .execute()
  return posts.map(({ subject, problem }) => ({ subject, message: POST_PROBLEMS[problem] }))
}

/** Rows that are there twice: only in views, because the tables of this package have unique keys. */
async function duplicates(db: BlogReader): Promise<DatabaseProblem[]> {
  const found: DatabaseProblem[] = []
  for (const relation of ['posts', 'authors', 'categories', 'tags'] as const) {
    const isView = sql<boolean>`exists (select from pg_class where oid = ${ownRelation(relation)} and relkind <> 'r')`
    // Slugs of drafts, such as an empty one, need not be unique.
    const isShown =
      relation === 'posts' ? sql<boolean>`published_at is not null and is_private is not true` : sql<boolean>`true`
    for (const column of ['id', 'slug'] as const) {
      const rows = await db
        .selectFrom(relation)
        .where(isView)
        .where(isShown)
        .where(`${relation}.${column}`, 'is not', null)
        .groupBy(`${relation}.${column}`)
        .having((row) => row.fn.countAll(), '>', 1)
        .select(sql<string>`left(${sql.ref(`${relation}.${column}`)}::text, 200)`.as('subject'))
        .limit(MAX_PER_KIND)
        .execute()
      found.push(...rows.map(({ subject }) => ({ subject, message: `the view ${relation} ${DUPLICATES[column]}` })))
    }
  }
  return found
}

/** One title and one name of each kind with HTML entities: usually all have them. */
async function entities(db: BlogReader): Promise<DatabaseProblem[]> {
  const found: DatabaseProblem[] = []
  for (const [relation, column] of [
    ['posts', 'title'],
    ['authors', 'name'],
    ['categories', 'name'],
    ['tags', 'name'],
  ] as const) {
    const text = sql.ref(`${relation}.${column}`)
    const rows = await db
      .selectFrom(relation)
      // The first condition is the cheap one.
      .where(
        sql<boolean>`${text} like '%&%;%' and ${text} ~* '&(amp|lt|gt|quot|apos|nbsp|hellip|[nm]dash|[lr][sd]quo|#x?[0-9a-f]+);'`,
      )
      .select(sql<string>`${sql.ref(`${relation}.id`)}::text`.as('subject'))
      .limit(1)
      .execute()
    const message = `a ${column} in ${relation} has HTML entities, such as &amp;, which readers see as they are, because lists are plain text: decode them in the view or in the table`
    found.push(...rows.map(({ subject }) => ({ subject, message })))
  }
  return found
}

async function invalidCounters(db: BlogReader): Promise<DatabaseProblem[]> {
  const rows = await db
    .selectFrom('post_views_total as total')
    .where(sql<boolean>`total.views < 0 or total.heat >= 'infinity'`)
    .select(sql<string>`total.post_id::text`.as('subject'))
    .limit(MAX_PER_KIND)
    .execute()
  const message =
    'the counter of a post in post_views_total is not valid (views below 0, or a heat that is infinity or NaN, which the hourly deletion of old rows repairs), and counts as 0: correct it'
  return rows.map(({ subject }) => ({ subject, message }))
}
