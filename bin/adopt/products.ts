import type { Table } from './catalog.ts'
import { quoted } from './links.ts'
import { ident, literal, normalized } from './names.ts'
import { PLAIN_TEXT } from './plain-text.ts'
import type { Choices, Proposal, Watch } from './proposal.ts'
import { query } from './terms.ts'

/** Schemas whose shape tells too little: the meaning of a row is in values of other rows. */
export function ofProduct(tables: readonly Table[], choices: Choices): Proposal | undefined {
  return wordpress(tables, choices) ?? drupal(tables, choices)
}

/** Names of columns as SQL writes them, whatever their case: a port may keep `ID` of WordPress. */
function namer(table: Table, alias = ''): (name: string) => string {
  return (name) => {
    const column = table.columns.find((each) => normalized(each.name) === name)
    return `${alias}${ident(column?.name ?? name)}`
  }
}

function wordpress(tables: readonly Table[], { url, timeZone = 'UTC', where }: Choices): Proposal | undefined {
  const posts = tables.find(({ columns }) =>
    ['post_name', 'post_type', 'post_status'].every((name) => columns.some((column) => column.name === name)),
  )
  if (posts === undefined) return undefined
  const beside = (name: string) =>
    tables.find((table) => table.schema === posts.schema && table.name === posts.name.replace(/posts$/, name))
  const [users, terms, taxonomy, relationships] = ['users', 'terms', 'term_taxonomy', 'term_relationships'].map(beside)
  const [comments, meta] = ['comments', 'postmeta'].map(beside)
  const post = namer(posts, 'post.')
  const own = namer(posts)
  const date = (of: (name: string) => string) =>
    `coalesce(nullif(${of('post_date_gmt')}, '0001-01-01') at time zone 'UTC', ${of('post_date')} at time zone ${literal(timeZone)})`
  const watches: Watch[] = [
    {
      table: quoted(posts),
      hard: ['post_name'],
      live: `post_type = 'post' and post_status = 'publish' and post_password = ''`,
      liveFrom: date(own),
      columns: ['post_title', 'post_excerpt', 'post_author', 'post_date', 'post_date_gmt', 'post_content'],
    },
  ]
  const views: Record<string, string> = {}
  if (users !== undefined) {
    const user = namer(users)
    const name = `popular_posts_schema.plain_text(display_name)`
    views['authors'] = query(`${user('id')} as id, user_nicename as slug, ${name} as name`, quoted(users), [])
    watches.push({ table: quoted(users), columns: ['user_nicename', 'display_name'] })
  }
  if (terms !== undefined && taxonomy !== undefined && relationships !== undefined) {
    const joined = `${quoted(taxonomy)} as category join ${quoted(terms)} as term using (term_id)`
    const columns = 'category.term_taxonomy_id as id, term.slug, popular_posts_schema.plain_text(term.name) as name'
    const above = `left join ${quoted(taxonomy)} as above on above.term_id = category.parent and above.taxonomy = 'category'`
    const hasParent = taxonomy.columns.some(({ name }) => name === 'parent')
    views['categories'] = hasParent
      ? query(`${columns}, above.term_taxonomy_id as parent_id`, `${joined}\n${above}`, [
          `category.taxonomy = 'category'`,
        ])
      : query(columns, joined, [`category.taxonomy = 'category'`])
    views['tags'] = query(columns, joined, [`category.taxonomy = 'post_tag'`])
    for (const [view, id] of Object.entries({ post_categories: 'category_id', post_tags: 'tag_id' }))
      views[view] = query(`object_id as post_id, term_taxonomy_id as ${id}`, quoted(relationships), [])
    watches.push({ table: quoted(terms) }, { table: quoted(relationships) })
    watches.push({ table: quoted(taxonomy), columns: ['term_id', 'taxonomy', ...(hasParent ? ['parent'] : [])] })
  }
  if (comments !== undefined) {
    const column = namer(comments)('comment_post_id')
    views['comments'] = query(`${column} as post_id, comment_approved = '1' as is_approved`, quoted(comments), [])
    const name = comments.columns.find((each) => normalized(each.name) === 'comment_post_id')?.name as string
    watches.push({ table: quoted(comments), live: `comment_approved = '1'`, columns: [name] })
  }
  const picture =
    meta === undefined
      ? ''
      : `
left join lateral (
  select file.guid from ${quoted(meta)} as meta join ${quoted(posts)} as file
    on file.${own('id')} = case when meta.meta_value ~ '^[0-9]{1,18}$' then meta.meta_value::bigint end
  where meta.post_id = ${post('id')} and meta.meta_key = '_thumbnail_id' limit 1
) as picture on true`
  if (meta !== undefined) watches.push({ table: quoted(meta), live: `meta_key = '_thumbnail_id'` })
  return {
    postId: 'bigint',
    prelude: [PLAIN_TEXT],
    posts: {
      columns: {
        id: post('id'),
        slug: `${post('post_name')}::text`,
        title: `popular_posts_schema.plain_text(${post('post_title')})`,
        url: (url ?? '/{slug}')
          .split(/(\{slug\}|\{id\}|\{year\}|\{month\}|\{day\})/)
          .filter((piece) => piece !== '')
          .map((piece) => WORDPRESS_URL[piece]?.(post) ?? literal(piece))
          .join(' || '),
        excerpt: `popular_posts_schema.plain_text(${post('post_excerpt')})`,
        author_id: post('post_author'),
        published_at: `case when ${post('post_status')} = 'publish' then ${date(post)} end`,
        is_private: `${post('post_password')} <> ''`,
        ...(meta === undefined ? {} : { image_url: 'picture.guid' }),
        reading_minutes: `greatest(1, length(${post('post_content')}) / 1200)`,
      },
      from: `${quoted(posts)} as post${picture}`,
      where: [`${post('post_type')} = 'post'`, ...(where === undefined ? [] : [`(${where})`])],
    },
    views,
    watches,
    notes: [
      `Posts without post_date_gmt have the time post_date, which is read as ${timeZone}: --time-zone sets another one.`,
      ...(url === undefined ? ['The address of a post is guessed: --url /{year}/{month}/{slug}/ sets it.'] : []),
    ],
  }
}

const dated = (format: string) => (post: (name: string) => string) => `to_char(${post('post_date')}, '${format}')`
const WORDPRESS_URL: Readonly<Record<string, (post: (name: string) => string) => string>> = {
  '{slug}': (post) => post('post_name'),
  '{id}': (post) => `${post('id')}::text`,
  '{year}': dated('YYYY'),
  '{month}': dated('MM'),
  '{day}': dated('DD'),
}

function drupal(tables: readonly Table[], { where, url }: Choices): Proposal | undefined {
  const nodes = tables.find(({ name }) => /(?:^|_)node_field_data$/.test(name))
  if (nodes === undefined) return undefined
  const beside = (name: string) =>
    tables.find((each) => each.schema === nodes.schema && each.name === nodes.name.replace(/node_field_data$/, name))
  const [users, terms, comments, files, aliases] = [
    'users_field_data',
    'taxonomy_term_field_data',
    'comment_field_data',
    'file_managed',
    'path_alias',
  ].map(beside)
  /** The tables of the fields of posts, each with the column of its references. */
  const fields = tables.flatMap((table) => {
    const [, field] = /(?:^|_)node__(.+)$/.exec(table.name) ?? []
    const column = table.columns.find(({ name }) => name === `${field}_target_id`)
    return field === undefined || column === undefined ? [] : [{ table, field, column: column.name }]
  })
  const fieldOf = (pattern: RegExp) => fields.find(({ field }) => pattern.test(field))
  const type = ['article', 'blog', 'blog_post', 'post', 'news', 'story'].find((each) =>
    nodes.columns.some(({ name, values }) => name === 'type' && values.includes(each)),
  )
  const condition = where ?? (type === undefined ? undefined : `type = ${literal(type)}`)
  const watches: Watch[] = [
    {
      table: quoted(nodes),
      hard: [],
      live: ['status = 1', ...(condition === undefined ? [] : [`(${condition})`])].join(' and '),
      liveFrom: 'to_timestamp(created)',
      columns: ['title', 'uid', 'created', 'langcode', 'status', 'type'],
    },
  ]
  const views: Record<string, string> = {}
  if (users !== undefined) {
    views['authors'] = query(`uid as id, lower(name) as slug, name`, quoted(users), ['default_langcode = 1', 'uid > 0'])
    watches.push({ table: quoted(users), columns: ['name'] })
  }
  const term = "tid as id, lower(replace(name, ' ', '-')) as slug, name"
  for (const [view, links, id, pattern] of [
    ['tags', 'post_tags', 'tag_id', /tag|keyword/],
    ['categories', 'post_categories', 'category_id', /categor|section|channel|topic/],
  ] as const) {
    const field = fieldOf(pattern)
    if (field === undefined || terms === undefined) continue
    views[view] = query(term, quoted(terms), ['default_langcode = 1'])
    views[links] = query(`entity_id as post_id, ${field.column} as ${id}`, quoted(field.table), ['deleted = 0'])
    watches.push({ table: quoted(terms), columns: ['name'] }, { table: quoted(field.table) })
  }
  if (comments !== undefined) {
    views['comments'] = query('entity_id as post_id, status = 1 as is_approved', quoted(comments), [
      `entity_type = 'node'`,
    ])
    watches.push({ table: quoted(comments), live: `status = 1 and entity_type = 'node'`, columns: ['entity_id'] })
  }
  const joins: string[] = []
  if (aliases !== undefined) {
    joins.push(`left join lateral (
  select alias from ${quoted(aliases)} as address
  where address.path = '/node/' || post.nid and address.langcode in (post.langcode, 'und') and address.status = 1
  order by address.id desc limit 1
) as address on true`)
    watches.push({ table: quoted(aliases), hard: ['alias', 'path', 'status'], live: `path like '/node/%'` })
  }
  const image = fieldOf(/image|picture|photo|media/)
  const hasImage = image !== undefined && files !== undefined
  if (hasImage) {
    joins.push(`left join ${quoted(image.table)} as image on image.entity_id = post.nid and image.delta = 0
  and image.langcode = post.langcode and image.deleted = 0
left join ${quoted(files)} as file on file.fid = image.${ident(image.column)}`)
    watches.push({ table: quoted(image.table) }, { table: quoted(files), columns: ['uri'] })
  }
  const path = aliases === undefined ? `'/node/' || post.nid` : `coalesce(address.alias, '/node/' || post.nid)`
  const part = (name: string) =>
    hasImage && image.table.columns.some((column) => column.name === `${image.field}_${name}`)
      ? `image.${ident(`${image.field}_${name}`)}`
      : undefined
  const [width, height, alt] = [part('width'), part('height'), part('alt')]
  return {
    postId: 'bigint',
    prelude: [],
    posts: {
      columns: {
        id: 'post.nid',
        slug: `ltrim(${path}, '/')`,
        title: 'post.title::text',
        url: url === undefined ? path : `${literal(url.replace(/\{slug\}$/, ''))} || ltrim(${path}, '/')`,
        excerpt: `''`,
        author_id: 'post.uid',
        published_at: 'case when post.status = 1 then to_timestamp(post.created) end',
        is_private: 'false',
        ...(hasImage ? { image_url: `replace(file.uri, 'public://', '/sites/default/files/')` } : {}),
        ...(width === undefined ? {} : { image_width: width }),
        ...(height === undefined ? {} : { image_height: height }),
        ...(alt === undefined ? {} : { image_alt: `coalesce(${alt}, '')` }),
        reading_minutes: '1',
        language: 'post.langcode::text',
      },
      from: [`${quoted(nodes)} as post`, ...joins].join('\n'),
      where: ['post.default_langcode = 1', ...(condition === undefined ? [] : [`(${condition})`])],
    },
    views,
    watches: [...new Map(watches.map((watch) => [watch.table, watch])).values()],
    notes: [
      condition === undefined
        ? 'Nodes of all types are listed: --where "type = \'…\'" selects one.'
        : `Only nodes for which ${condition} are listed: --where sets another condition.`,
      'Translations are not listed: a node has one row, in its first language.',
      'A slug is the whole alias, without the slash at its start.',
    ],
  }
}
