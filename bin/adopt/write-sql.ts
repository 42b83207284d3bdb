import { WRITTEN } from '../../db/service-user.ts'
import { ident, literal } from './names.ts'
import { OTHER_VIEWS, type OtherView, POST_COLUMNS, type Proposal, type Watch } from './proposal.ts'

export interface ScriptOptions {
  /** The schema of this package. */
  schema: string
  /** The role of the service, if it is another one. */
  grant?: string | undefined
}

/** The columns of the view of posts that have a default, where the blog has no such data. */
export const POST_DEFAULTS: Readonly<Record<string, string>> = {
  excerpt: `''`,
  author_id: 'null::text',
  is_private: 'false',
  image_url: 'null::text',
  image_width: 'null::integer',
  image_height: 'null::integer',
  image_alt: `''`,
  reading_minutes: '1',
}

const ABOUT: Readonly<Record<OtherView, string>> = {
  authors: 'The authors.',
  categories: 'The categories.',
  tags: 'The tags.',
  post_categories: 'Which post is in which categories.',
  post_tags: 'Which post has which tags.',
  comments: 'The comments: only their number shows.',
}

/** An empty view: the columns that queries need, and no row. */
export function emptyQuery(view: OtherView, postId: string): string {
  const id = view.startsWith('post_') || view === 'comments' ? `null::${postId} as post_id` : 'null::text as id'
  const rest: Readonly<Record<OtherView, string>> = {
    authors: 'null::text as slug, null::text as name',
    categories: 'null::text as slug, null::text as name',
    tags: 'null::text as slug, null::text as name',
    post_categories: 'null::text as category_id',
    post_tags: 'null::text as tag_id',
    comments: 'true as is_approved',
  }
  return `select ${id}, ${rest[view]} where false`
}

/** The SQL of a proposal, for a person to read: one statement for each thing, each with its reason. */
export function writeSql(proposal: Proposal, { schema, grant }: ScriptOptions): string {
  const own = ident(schema)
  const { postId, prelude, posts, views, watches, notes } = proposal
  const columns = POST_COLUMNS.flatMap((name) => {
    const sql = posts.columns[name] ?? POST_DEFAULTS[name]
    return sql === undefined ? [] : [`  ${sql.replaceAll('\n', '\n  ')} as ${name}`]
  })
  const where = posts.where.map((condition, index) => `${index === 0 ? 'where' : '  and'} ${condition}`)
  const select = [`select\n${columns.join(',\n')}`, `from ${posts.from}`, ...where].join('\n')
  const statements = [
    heading(
      'Views and triggers with which the package fastify-popular-posts reads this blog. No table of the blog gets a',
      'column or a row. Written by "popular-posts adopt".',
      ...notes.map((note) => `Check: ${note}`),
    ),
    heading('The schema of the package. Its counters are created for post ids of this type by:') +
      `\n--   npx popular-posts migrate --adopt --post-id ${postId}\n-- "popular-posts adopt --apply" does that, too.\ncreate schema if not exists ${own}`,
    ...prelude.map((statement) => `${heading('Texts of the blog are HTML; lists are plain text.')}\n${statement}`),
    `${heading('What lists show of a post. It is published if published_at is in the past.')}\ncreate or replace view ${own}.posts as\n${select}`,
    ...OTHER_VIEWS.map((view) => {
      const about = views[view] === undefined ? `${ABOUT[view]} None were found.` : ABOUT[view]
      return `${heading(about)}\ncreate or replace view ${own}.${view} as\n${views[view] ?? emptyQuery(view, postId)}`
    }),
    ...watches.map(
      (watch, index) =>
        (index === 0
          ? `${heading('Triggers that announce changes. They run once for a statement, and never fail it.')}\n`
          : '') + watchCall(watch, own),
    ),
    ...(grant === undefined ? [] : grants(own, ident(grant))),
  ]
  const [title, ...rest] = statements
  return `${title}\n\n${rest.join(';\n\n')};\n`.replaceAll('popular_posts_schema.', `${own}.`)
}

const heading = (...lines: string[]) => lines.map((line) => `-- ${line}`).join('\n')

function watchCall({ table, hard, live, liveFrom, columns }: Watch, own: string): string {
  const list = (names: readonly string[]) => literal(`{${names.map((name) => JSON.stringify(name)).join(', ')}}`)
  const plain = (names: readonly string[]) =>
    names.every((name) => /^[a-z_][a-z0-9_]*$/.test(name)) ? literal(`{${names.join(', ')}}`) : list(names)
  const args = [
    literal(table),
    ...(hard === undefined ? [] : [`hard_columns => ${plain(hard)}`]),
    ...(live === undefined ? [] : [`live => $$${live}$$`]),
    ...(liveFrom === undefined ? [] : [`live_from => $$${liveFrom}$$`]),
    ...(columns === undefined ? [] : [`columns => ${plain(columns.filter((name) => hard?.includes(name) !== true))}`]),
  ]
  const [first, ...more] = args
  return `select ${own}.popular_posts_watch(${[first, ...more.map((arg) => `  ${arg}`)].join(',\n')})`
}

function grants(own: string, role: string): string[] {
  return [
    `${heading('The rights of the role that runs the service.')}\ngrant usage on schema ${own} to ${role}`,
    `grant select on all tables in schema ${own} to ${role}`,
    `grant insert, update, delete on\n  ${WRITTEN.map((table) => `${own}.${table}`).join(',\n  ')}\nto ${role}`,
    `grant insert on ${own}.popular_posts_site to ${role}`,
    `grant execute on function ${own}.popular_posts_announce to ${role}`,
  ]
}
