import t, { type Test } from 'tap'
import { type Column, type Kind, kindOf, literalsIn, type Table } from '../../../bin/adopt/catalog.ts'
import { ident, isOneOf, literal, normalized, nounOf, singular, wordsOf } from '../../../bin/adopt/names.ts'
import type { Choices, Proposal } from '../../../bin/adopt/proposal.ts'
import { propose } from '../../../bin/adopt/propose.ts'
import { mergeWatches } from '../../../bin/adopt/watches.ts'

t.test('names of tables and columns', async (t) => {
  for (const [name, expected] of [
    ['publishedAt', 'published_at'],
    ['PublishedAt', 'published_at'],
    ['_status', 'status'],
    ['post_ID', 'post_id'],
    ['blog-posts', 'blog_posts'],
  ] as const)
    t.equal(normalized(name), expected)
  for (const [word, expected] of [
    ['stories', 'story'],
    ['posts', 'post'],
    ['status', 'status'],
    ['address', 'address'],
    ['people', 'person'],
    ['news', 'news'],
  ] as const)
    t.equal(singular(word), expected)
  t.same(wordsOf('wp_posts'), ['wp', 'post'])
  t.equal(nounOf('BlogPosts'), 'post')
  t.equal(nounOf('tx_news'), 'news')
  t.ok(isOneOf('blog_blogpost', ['post']))
  t.notOk(isOneOf('blog_postcard', ['post']))
  t.equal(ident('slug'), 'slug')
  t.equal(ident('order'), '"order"')
  t.equal(ident('created"At'), '"created""At"')
  t.equal(literal("it's"), "'it''s'")
})

t.test('kinds of types, and literals', async (t) => {
  for (const [type, isEnum, expected] of [
    ['text[]', false, 'array'],
    ['bigint', false, 'integer'],
    ['character varying', false, 'text'],
    ['timestamp without time zone', false, 'timestamp'],
    ['jsonb', false, 'json'],
    ['point', false, 'other'],
    ['mood', true, 'enum'],
  ] as const)
    t.equal(kindOf(type, isEnum), expected, type)
  t.same(literalsIn("CHECK ((a = 'x') OR (a = 'it''s'))"), ['x', "it's"])
})

type Short = readonly [name: string, kind: Kind, more?: Partial<Column>]

function table(name: string, columns: readonly Short[], more: Partial<Table> = {}): Table {
  return {
    id: `public.${name}`,
    schema: 'public',
    name,
    key: ['id'],
    references: [],
    columns: columns.map(([name, kind, more]) => ({ name, kind, type: kind, isNullable: false, values: [], ...more })),
    ...more,
  }
}

const BASE: readonly Short[] = [
  ['id', 'integer'],
  ['slug', 'text'],
  ['title', 'text'],
]

/** The proposal for a table of posts with more columns, and for other tables. */
function proposed(
  t: Test,
  columns: readonly Short[],
  others: readonly Table[] = [],
  choices: Choices = {},
  more: Partial<Table> = {},
): Proposal {
  const result = propose([table('posts', [...BASE, ...columns], more), ...others], { url: '/{slug}', ...choices })
  if ('flag' in result) throw new Error(`asks for ${JSON.stringify(result)}`)
  t.ok(result.posts.columns.id)
  return result
}

t.test('columns of posts', async (t) => {
  for (const [columns, expected] of [
    [[['published_at', 'instant']], { published_at: 'post.published_at', is_private: 'false' }],
    [[['published_at', 'timestamp']], { published_at: "post.published_at at time zone 'UTC'" }],
    [[['published_on', 'date']], { published_at: "post.published_on::timestamp at time zone 'UTC'" }],
    [[['created', 'integer', { values: ['1577836800'] }]], { published_at: 'to_timestamp(post.created)' }],
    [[['created', 'integer', { values: ['1577836800000'] }]], { published_at: 'to_timestamp(post.created / 1000.0)' }],
    [
      [
        ['published', 'boolean'],
        ['published_at', 'instant', { isNullable: true }],
        ['created_at', 'instant'],
      ],
      { published_at: 'case when post.published is true then coalesce(post.published_at, post.created_at) end' },
    ],
    [
      [
        ['draft', 'boolean'],
        ['date', 'instant', { isNullable: true }],
      ],
      { published_at: 'case when post.draft is not true then post.date end' },
    ],
    [
      [
        ['is_hidden', 'integer'],
        ['date', 'instant'],
      ],
      { published_at: 'case when coalesce(post.is_hidden, 0) = 0 then post.date end' },
    ],
    [
      [
        ['status', 'integer'],
        ['live', 'integer'],
        ['date', 'instant'],
      ],
      { published_at: 'case when post.live = 1 then post.date end' },
    ],
    [
      [
        ['status', 'enum', { values: ['Draft', 'Live'] }],
        ['date', 'instant'],
      ],
      { published_at: "case when post.status = 'Live' then post.date end" },
    ],
    [
      [
        ['expires_at', 'timestamp'],
        ['date', 'instant'],
      ],
      {
        published_at:
          "case when (post.expires_at is null or post.expires_at at time zone 'UTC' > now()) then post.date end",
      },
    ],
    [
      [
        ['visibility', 'text', { values: ['public', 'members'] }],
        ['password', 'text'],
        ['members_only', 'boolean'],
        ['date', 'instant'],
      ],
      {
        is_private:
          "post.visibility is distinct from 'public' or post.members_only is true or coalesce(post.password, '') <> ''",
      },
    ],
    [
      [
        ['visibility', 'text', { values: ['1'] }],
        ['date', 'instant'],
      ],
      { is_private: 'false' },
    ],
    [
      [
        ['date', 'instant'],
        ['cover', 'json'],
      ],
      { image_url: "coalesce(post.cover ->> 'url', post.cover ->> 'src')" },
    ],
    [
      [
        ['date', 'instant'],
        ['cover_url', 'text'],
        ['cover_alt', 'text'],
        ['cover_width', 'integer'],
        ['cover_height', 'integer'],
      ],
      {
        image_url: "nullif(post.cover_url, '')",
        image_width: 'post.cover_width',
        image_height: 'post.cover_height',
        image_alt: "coalesce(post.cover_alt, '')",
      },
    ],
    [
      [
        ['date', 'instant'],
        ['reading_time', 'integer'],
      ],
      { reading_minutes: 'greatest(1, coalesce(post.reading_time, 1))' },
    ],
    [
      [
        ['date', 'instant'],
        ['byline', 'text'],
      ],
      { author_id: 'post.byline' },
    ],
    [
      [
        ['date', 'instant'],
        ['language', 'enum'],
      ],
      { language: 'post.language::text' },
    ],
  ] as const)
    t.match(proposed(t, columns as readonly Short[]).posts.columns, expected, JSON.stringify(columns))
})

t.test('what the user says is taken', async (t) => {
  const columns: readonly Short[] = [
    ['date', 'timestamp'],
    ['tags', 'array'],
    ['byline', 'text'],
    ['cover', 'text'],
    ['lang', 'text'],
    ['state', 'integer'],
    ['site_id', 'integer'],
  ]
  const none = {
    authors: 'none',
    tags: 'none',
    categories: 'none',
    comments: 'none',
    image: 'none',
    published: 'always',
  }
  const without = proposed(t, columns, [], none)
  t.same(without.views, {})
  t.match(without.posts.columns, { author_id: 'null::text', published_at: "post.date at time zone 'UTC'" })
  t.match(without.notes, [/site_id/, /read as UTC/])
  const { posts, views, notes } = proposed(t, columns, [], {
    published: 'state > 1 and "lang" <> \'state\'',
    where: 'site_id = 3',
    date: 'date',
    title: 'upper(title)',
    slug: 'id',
    image: 'cover',
    authors: 'byline',
    tags: 'tags',
    categories: 'lang',
    language: 'lang',
    timeZone: 'Europe/Vienna',
    url: '/{year}/{id}',
  })
  t.match(posts, {
    where: ['(post.site_id = 3)'],
    columns: {
      slug: 'post.id::text',
      title: '(upper(post.title))::text',
      published_at:
        "case when (post.state > 1 and post.lang <> 'state') then post.date at time zone 'Europe/Vienna' end",
      url: "'/' || to_char((post.date at time zone 'Europe/Vienna') at time zone 'Europe/Vienna', 'YYYY') || '/' || post.id::text",
      image_url: "nullif(post.cover, '')",
    },
  })
  t.match(views.categories, /post\.lang::text/)
  t.same(notes, [])
})

t.test('notes on what is guessed', async (t) => {
  const result = propose([table('posts', [...BASE, ['date', 'instant'], ['type', 'text', { values: ['a', 'b'] }]])], {})
  t.match(result, { notes: [/The column type has several values/, /The address of a post is guessed/] })
})

t.test('keys', async (t) => {
  const date: Short = ['date', 'instant']
  t.match(proposed(t, [date, ['nr', 'number']], [], {}, { key: ['nr'] }), {
    postId: 'bigint',
    posts: { columns: { id: 'post.nr::bigint' } },
  })
  t.match(proposed(t, [date], [], { id: 'slug' }), { postId: 'text', posts: { columns: { id: 'post.slug' } } })
  t.match(proposed(t, [date, ['uid', 'uuid']], [], { id: 'uid' }), { postId: 'uuid' })
  t.match(proposed(t, [date, ['place', 'other']], [], { id: 'place' }), {
    postId: 'text',
    posts: { columns: { id: '(post.place)::text' } },
  })
  const columns: readonly Short[] = [
    ['document_id', 'text'],
    ['published_at', 'instant', { isNullable: true }],
    ['locale', 'text', { values: ['en', 'de'] }],
  ]
  const links = table(
    'posts_tags',
    [
      ['post_id', 'integer'],
      ['tag_id', 'integer'],
    ],
    {
      key: [],
      references: [
        { column: 'post_id', table: 'public.posts', to: 'id' },
        { column: 'tag_id', table: 'public.tags', to: 'id' },
      ],
    },
  )
  const { posts, views } = proposed(t, columns, [links, table('tags', [['id', 'integer']])])
  t.match(posts.columns.id, "concat_ws(':', post.document_id, post.locale)")
  t.match(views, {
    tags: /term\.id::text/,
    post_tags: /join public\.posts_tags as link on link\.post_id = post\.id\nwhere post\.published_at is not null/,
  })
})

t.test('one watch for each table', async (t) => {
  t.same(
    mergeWatches([
      { table: 'a', columns: ['x'], live: 'l' },
      { table: 'a', columns: ['y'], live: 'l', hard: ['x'] },
      { table: 'b', columns: ['x'], liveFrom: 'f' },
      { table: 'b' },
      { table: 'c', live: 'l' },
      { table: 'c', live: 'm' },
    ]),
    [
      { table: 'a', hard: ['x'], live: 'l', liveFrom: undefined, columns: ['x', 'y'] },
      { table: 'b', hard: undefined, live: undefined, liveFrom: undefined, columns: undefined },
      { table: 'c', hard: undefined, live: undefined, liveFrom: undefined, columns: undefined },
    ],
  )
})

t.test('products of which some tables are missing', async (t) => {
  const text = (name: string): Short => [name, 'text']
  const wordpress = table('posts', ['post_name', 'post_type', 'post_status', 'post_title'].map(text))
  const terms = [
    table('terms', [text('name')]),
    table('term_taxonomy', [text('taxonomy')]),
    table('term_relationships', [text('object_id')]),
  ]
  t.match(propose([wordpress], { where: 'x = 1' }), { views: {}, notes: [/post_date_gmt/, /guessed/] })
  t.match(propose([wordpress, ...terms], { timeZone: 'Europe/Vienna' }), {
    views: { categories: /^(?!.*parent_id)/ },
    posts: { columns: { url: "'/' || post.post_name", published_at: /Europe.Vienna/ } },
  })
  const nodes = table('node_field_data', [['type', 'text', { values: ['page'] }]])
  const image = table('node__field_image', [['field_image_target_id', 'integer']])
  t.match(propose([nodes, image], { url: '/blog/{slug}' }), {
    views: {},
    posts: { columns: { slug: "ltrim('/node/' || post.nid, '/')", url: /^'.blog.' / } },
    notes: [/Nodes of all types/],
  })
  t.match(propose([nodes, image, table('file_managed', [])], { where: "type = 'a'" }), {
    posts: { where: [/default_langcode/, "(type = 'a')"], columns: { image_url: /public/ } },
  })
})

t.test('persons', async (t) => {
  const date: Short = ['date', 'instant']
  const author: Short = ['author_id', 'integer']
  const references = [{ column: 'author_id', table: 'public.people', to: 'id' }]
  const people = (columns: readonly Short[]) => [table('people', [['id', 'integer'], ...columns])]
  for (const [columns, name] of [
    [[], 'person.id::text'],
    [[['first_name', 'text']], "nullif(trim(concat_ws(' ', person.first_name)), '')"],
    [[['username', 'text']], 'person.username'],
    [
      [
        ['name', 'text'],
        ['login', 'text'],
      ],
      'coalesce(person.name, person.login)',
    ],
  ] as const)
    t.ok(
      proposed(t, [date, author], people(columns), {}, { references }).views.authors?.includes(`${name} as name`),
      name,
    )
  t.match(proposed(t, [date, author], people([]), { authors: 'people' }, { references }).posts.columns, {
    author_id: 'post.author_id',
  })
  t.match(proposed(t, [date, author], people([]), { authors: 'author_id' }, { references }).posts.columns, {
    author_id: 'post.author_id',
  })
  const several = [table('people', [['id', 'integer']]), table('staff', [['id', 'integer']])]
  const both = [...references, { column: 'editor_id', table: 'public.staff', to: 'id' }]
  for (const [authors, expected] of [
    ['staff', 'post.editor_id'],
    ['public.people', 'post.author_id'],
    ['nobody', 'null::text'],
  ] as const)
    t.match(
      proposed(t, [date, author, ['editor_id', 'integer']], several, { authors }, { references: both }).posts.columns,
      { author_id: expected },
      authors,
    )
  t.match(
    proposed(t, [date, author], [], {}, { references }),
    {
      posts: { columns: { author_id: 'null::text' } },
      views: { authors: undefined },
    },
    'a table that the user cannot read',
  )
})

t.test('questions name the likeliest answers', async (t) => {
  const date: Short = ['date', 'instant']
  for (const [columns, more, expected] of [
    [[date, ['status', 'integer']], {}, { flag: 'published', candidates: ['status = 1', 'always'] }],
    [[date, ['status', 'text']], {}, { flag: 'published', candidates: ["status = 'published'", 'always'] }],
    [[date], { key: [] }, { flag: 'id', candidates: ['id', 'slug', 'title'] }],
    [[date, ['place', 'other']], { key: ['place'] }, { flag: 'id', candidates: ['id', 'slug', 'title'] }],
  ] as const)
    t.match(propose([table('posts', [...BASE, ...columns], more as Partial<Table>)], { posts: 'posts' }), expected)
  t.match(propose([table('bare', [])], {}), { flag: 'posts', candidates: ['public.bare'] })
  const data = table('entries', [
    ['id', 'integer'],
    ['slug', 'text'],
    ['data', 'json'],
  ])
  t.match(propose([data, table('tags', BASE)], {}), { flag: 'posts', candidates: ['public.entries'] })
  t.match(propose([data], { posts: 'entries' }), { flag: 'title', candidates: ["data ->> 'title'", 'slug'] })
  t.match(propose([], {}), { flag: 'posts', candidates: [] })
})

t.test('tables that a table of posts inherits from', async (t) => {
  const parent = (name: string, columns: readonly Short[], of?: string) =>
    table(name, [['id', 'integer'], ...columns], {
      references: of === undefined ? [] : [{ column: 'id', table: `public.${of}`, to: 'id' }],
    })
  const posts = table('articles', [...BASE, ['date', 'instant']], {
    references: [{ column: 'id', table: 'public.base_post', to: 'id' }],
  })
  const tables = [
    posts,
    parent('base_post', [['excerpt', 'text']], 'rich_page'),
    parent('rich_page', [], 'page'),
    parent('page', []),
  ]
  t.match(propose(tables, { posts: 'articles' }), {
    posts: {
      columns: { excerpt: "coalesce(parent.excerpt, '')" },
      from: [
        'public.articles as post',
        'join public.base_post as parent on parent.id = post.id',
        'join public.rich_page as page on page.id = parent.id',
        'join public.page as page_3 on page_3.id = page.id',
      ].join('\n'),
    },
  })
})

t.test('links to posts, by the types of both columns', async (t) => {
  for (const [key, column, expected] of [
    ['integer', 'integer', 'link.post_id as post_id'],
    ['integer', 'text', 'link.post_id::bigint as post_id'],
    ['number', 'number', 'link.post_id::bigint as post_id'],
    ['text', 'uuid', 'link.post_id::text as post_id'],
    ['uuid', 'text', 'link.post_id::uuid as post_id'],
  ] as const) {
    const comments = table(
      'comments',
      [
        ['id', 'integer'],
        ['post_id', column],
      ],
      {
        references: [{ column: 'post_id', table: 'public.posts', to: 'nr' }],
      },
    )
    const { views } = proposed(
      t,
      [
        ['date', 'instant'],
        ['nr', key],
      ],
      [comments],
      {},
      { key: ['nr'] },
    )
    t.ok(views.comments?.includes(expected), `${key} ${column}: ${views.comments}`)
  }
})

t.test('pictures in a table of files', async (t) => {
  const images = (columns: readonly Short[]) => [
    table('images', [['id', 'integer'], ...columns]),
    table(
      'posts_images',
      [
        ['post_id', 'integer'],
        ['image_id', 'integer'],
      ],
      {
        references: [
          { column: 'post_id', table: 'public.posts', to: 'id' },
          { column: 'image_id', table: 'public.images', to: 'id' },
        ],
      },
    ),
  ]
  const { posts } = proposed(t, [['date', 'instant']], images([['url', 'text']]))
  t.match(posts, { columns: { image_url: 'picture.url' }, from: /order by link\.image_id limit 1/ })
  t.notOk('image_alt' in posts.columns)
  t.notOk('image_url' in proposed(t, [['date', 'instant']], images([])).posts.columns, 'files without an address')
})

t.test('columns of posts that refer to tables', async (t) => {
  const shelves = table('shelves', [
    ['id', 'integer'],
    ['name', 'text'],
  ])
  const references = [{ column: 'shelf', table: 'public.shelves', to: 'id' }]
  for (const categories of ['shelves', 'shelf'])
    t.match(
      proposed(
        t,
        [
          ['date', 'instant'],
          ['shelf', 'integer'],
        ],
        [shelves],
        { categories },
        { references },
      ).views,
      { categories: /term\.name/, post_categories: /post\.shelf as category_id/ },
      categories,
    )
  for (const others of [[], [table('locale', [['id', 'integer']])]])
    t.notOk(
      'language' in
        proposed(
          t,
          [
            ['date', 'instant'],
            ['locale_id', 'integer'],
          ],
          others,
        ).posts.columns,
    )
  t.match(proposed(t, [['date', 'instant']], [], { slug: 'slug' }).posts.columns, { slug: 'post.slug' })
})

t.test('flags that are words', async (t) => {
  const date: Short = ['date', 'instant']
  for (const [flag, expected] of [
    [['published', 'text', { values: ['no', 'Yes'] }], "case when post.published = 'Yes' then post.date end"],
    [['published', 'text', { values: ['spring'] }], 'post.date'],
    [
      ['approved', 'enum', { values: ['pending', 'approved'] }],
      "case when post.approved = 'approved' then post.date end",
    ],
    [
      ['is_approved', 'text', { values: ['pending'] }],
      /^case when post\.is_approved in \('published', .*'approved', .*'1'\) then/,
    ],
  ] as const)
    t.match(proposed(t, [flag, date]).posts.columns, { published_at: expected }, flag[0])
  const comments = (values: readonly string[]) =>
    table('comments', [
      ['id', 'integer'],
      ['post_id', 'integer'],
      ['approved', 'text', { values }],
    ])
  for (const [values, expected] of [
    [['pending', 'spam', 'approved'], "link.approved = 'approved' as is_approved"],
    [['pending'], "link.approved in ('published',"],
  ] as const)
    t.ok(proposed(t, [date], [comments(values)]).views.comments?.includes(expected), expected)
})

t.test('rows of terms and persons that were deleted', async (t) => {
  const deleted: readonly Short[] = [
    ['id', 'integer'],
    ['name', 'text'],
    ['deleted_at', 'timestamp'],
  ]
  const links = table(
    'posts_tags',
    [
      ['post_id', 'integer'],
      ['tag_id', 'integer'],
    ],
    { key: [] },
  )
  const { views, watches } = proposed(
    t,
    [
      ['date', 'instant'],
      ['user_id', 'integer'],
    ],
    [table('tags', deleted), table('users', deleted), links],
  )
  t.match(views, { tags: /where term\.deleted_at is null$/, authors: /where person\.deleted_at is null$/ })
  for (const name of ['public.tags', 'public.users'])
    t.match(watches.find((watch) => watch.table === name)?.columns, ['name', 'deleted_at'], name)
})

t.test('terms of several kinds in one table, and links to objects', async (t) => {
  const terms = (values: readonly string[]) =>
    table('terms', [
      ['id', 'integer'],
      ['name', 'text'],
      ['kind', 'text', { values }],
    ])
  const links = (columns: readonly Short[] = []) =>
    table('term_relationships', [['objectid', 'integer'], ['term_id', 'integer'], ...columns], { key: [] })
  const both = terms(['menu', 'category', 'post_tag'])
  const date: Short = ['date', 'instant']
  t.match(proposed(t, [date], [both, links()]).views, {
    tags: /where term\.kind = 'post_tag'$/,
    categories: /where term\.kind = 'category'$/,
    post_tags: /select link\.objectid as post_id, link\.term_id as tag_id/,
    post_categories: /link\.term_id as category_id/,
  })
  t.match(proposed(t, [date], [both, links()], { tags: 'terms' }).views, { tags: /where term\.kind = 'post_tag'$/ })
  const none = { views: { tags: undefined, categories: undefined } }
  t.match(proposed(t, [date], [terms(['menu']), links()]), none, 'no kind has a known name')
  t.match(proposed(t, [date], [both, links([['object_class', 'text']])]), none, 'the object has a class')
  t.match(proposed(t, [date], [both, table('relations', [['object_id', 'integer']])]), none, 'not a link')
  const known = { references: [{ column: 'objectid', table: 'public.terms', to: 'id' }] }
  t.match(proposed(t, [date], [both, { ...links(), ...known }]), none, 'the object is known')
  t.match(proposed(t, [date], [both, links()], { id: 'slug' }, { key: ['id', 'slug'] }), none, 'no key of one column')
  const tags = table('tags', [
    ['id', 'integer'],
    ['name', 'text'],
    ['type', 'text', { values: ['tag'] }],
  ])
  const own = table(
    'posts_tags',
    [
      ['post_id', 'integer'],
      ['tag_id', 'integer'],
    ],
    { key: [] },
  )
  t.notMatch(proposed(t, [date], [tags, own]).views.tags, /where/, 'a table of tags has only tags')
})

t.test('a picture may be an expression', async (t) => {
  const date: Short = ['date', 'instant']
  t.match(proposed(t, [date], [], { image: '(select f.url from public.files as f where f.post = id)' }).posts.columns, {
    image_url: "nullif(((select f.url from public.files as f where f.post = post.id))::text, '')",
  })
  t.match(propose([table('posts', [...BASE, date])], { image: 'cover' }), {
    flag: 'image',
    sentence: 'There is no column cover in posts:',
    candidates: ['id', 'slug', 'title', 'date'],
  })
})

t.test('a note on rows of several kinds', async (t) => {
  const columns: readonly Short[] = [
    ['date', 'instant'],
    ['taxonomy_id', 'integer'],
  ]
  t.match(proposed(t, columns).notes, [/all values of taxonomy_id are listed/])
  t.same(proposed(t, columns, [], { where: 'taxonomy_id = 2' }).notes, [])
})

t.test('texts in several languages, in JSON', async (t) => {
  const post = (columns: readonly Short[]) => [
    table('posts', [['id', 'integer'], ['slug', 'text'], ['date', 'instant'], ...columns]),
  ]
  const several: Short = ['title', 'json', { values: ['en_US', 'de', '{}'] }]
  const body: Short = ['body', 'json']
  const columns = (language?: string) => {
    const result = propose(post([several, body]), { url: '/{slug}', ...(language === undefined ? {} : { language }) })
    return 'flag' in result ? result : result.posts.columns
  }
  t.match(columns(), { flag: 'language', candidates: ['en_US', 'de'] })
  t.match(columns('de'), {
    title: "coalesce(nullif(post.title ->> 'de', ''), nullif(post.title ->> 'en_US', ''))",
    reading_minutes: /post\.body ->> 'de'/,
    language: "'de'",
  })
  t.match(columns('en_US'), { language: "'en-US'" })
  t.match(columns("'xx'"), { title: /^coalesce\(nullif\(post\.title ->> 'en_US'/, language: "'xx'" })
  t.match(columns('fr'), { flag: 'language', sentence: /^There is no column fr/ })
  const one = post([['title', 'json', { values: ['en'] }]])
  t.match(propose(one, { title: 'title' }), {
    posts: { columns: { title: "(post.title ->> 'en')", language: "'en'" } },
  })
  t.match(propose(one, { title: "title ->> 'de'" }), {
    posts: { columns: { title: "(post.title ->> 'de')::text" } },
  })
  for (const values of [[], ['type', 'content']])
    t.match(propose(post([['title', 'json', { values }]]), { posts: 'posts' }), { flag: 'title' }, 'no languages')
})

t.test('texts of each language in a table of their own', async (t) => {
  const posts = table('posts', [
    ['id', 'integer'],
    ['date', 'instant'],
    ['is_live', 'boolean'],
  ])
  const texts = (columns: readonly Short[], to = 'id') =>
    table('texts', [['post_id', 'integer'], ['slug', 'text'], ['title', 'text'], ...columns], {
      references: [{ column: 'post_id', table: 'public.posts', to }],
    })
  const locales = table('locales', [
    ['id', 'integer'],
    ['code', 'text'],
  ])
  t.match(propose([posts, texts([['locale', 'text']])], { url: '/{locale}/{id}' }), {
    postId: 'text',
    posts: {
      columns: {
        id: "concat_ws(':', post.id, texts.locale)",
        language: 'texts.locale',
        url: "'/' || texts.locale::text || '/' || concat_ws(':', post.id, texts.locale)::text",
      },
      from: 'public.posts as post\njoin public.texts as texts on texts.post_id = post.id',
    },
    watches: [
      { hard: [], live: 'is_live is true' },
      { table: 'public.texts', hard: ['slug', 'locale'] },
    ],
    notes: [/once for each row of texts: --where "locale = …"/],
  })
  t.match(propose([posts, texts([['locale_id', 'integer']]), locales], {}), {
    posts: { columns: { language: /^\(select locale\.code from public\.locales/ } },
  })
  const named = table('posts', [
    ['id', 'integer'],
    ['name', 'text'],
    ['date', 'instant'],
  ])
  for (const [name, title] of [
    ['post_translations', 'texts.title'],
    ['texts', 'post.name'],
  ] as const)
    t.match(
      propose([named, { ...texts([['locale', 'text']]), name, id: `public.${name}` }], { posts: 'posts', slug: 'id' }),
      { posts: { columns: { title } } },
      name,
    )
  for (const other of [texts([]), texts([['locale', 'text']], 'nr')])
    t.match(propose([posts, other], { posts: 'posts', slug: 'id' }), { flag: 'title' })
})

t.test('which rows are drafts, are in use, or count rows of another table', async (t) => {
  const date: Short = ['date', 'instant']
  t.match(proposed(t, [date, ['draft_of', 'integer', { isNullable: true }]]).posts.where, ['post.draft_of is null'])
  t.same(proposed(t, [date, ['draft_id', 'integer']]).posts.where, [], 'each row has one')
  t.same(proposed(t, [date, ['revision_id', 'integer', { isNullable: true }]]).posts.where, [], 'the revision in use')
  for (const [columns, condition] of [
    [[['active', 'boolean']], 'post.active is true'],
    [
      [
        ['live', 'boolean'],
        ['enabled', 'boolean'],
      ],
      'post.live is true and post.enabled is true',
    ],
    [
      [
        ['status', 'text', { values: ['draft', 'live'] }],
        ['enabled', 'boolean'],
      ],
      "post.status = 'live' and post.enabled is true",
    ],
    [
      [
        ['status', 'integer'],
        ['live', 'boolean'],
        ['enabled', 'boolean'],
      ],
      'post.live is true and post.enabled is true',
    ],
  ] as const)
    t.match(proposed(t, [date, ...(columns as readonly Short[])]).posts.columns, {
      published_at: `case when ${condition} then post.date end`,
    })
  t.match(
    proposed(t, [date, ['status', 'text', { values: ['live', 'pending', 'expired'] }]]).posts.columns,
    { published_at: 'post.date' },
    'a status that follows from the dates',
  )
  const counts = table('page_posts', [['post_id', 'integer']], { key: ['post_id'] })
  t.match(propose([table('posts', [...BASE, date]), counts], {}), { posts: { from: 'public.posts as post' } })
})

t.test('references by a class that has no table of its name', async (t) => {
  const date: Short = ['date', 'instant']
  const users = table('app_users', [
    ['id', 'integer'],
    ['name', 'text'],
  ])
  const columns = (value: string): readonly Short[] => [
    date,
    ['author_id', 'integer'],
    ['author_type', 'text', { values: [value] }],
  ]
  t.match(proposed(t, columns('App::BaseUser'), [users]).posts.columns, {
    author_id: "case when post.author_type = 'App::BaseUser' then post.author_id end",
  })
  for (const [name, kind] of [
    ['created_by', 'integer'],
    ['posts_author_id', 'integer'],
    ['userid', 'integer'],
  ] as const)
    t.match(proposed(t, [date, [name, kind]], [users]).posts.columns, { author_id: `post.${name}` }, name)
  const byText = { ...users, columns: users.columns.map((each) => ({ ...each, kind: 'text' as const })) }
  t.match(proposed(t, [date, ['created_by', 'text']], [byText]).posts.columns, { author_id: 'null::text' })
  const messages = table('messages', [
    ['id', 'integer'],
    ['res_id', 'integer'],
    ['model', 'text', { values: ['post', 'blog.shop'] }],
    ['message_type', 'text', { values: ['comment', 'email'] }],
  ])
  t.match(proposed(t, [date], [messages]).views.comments, /link\.message_type = 'comment' as is_approved/)
})

t.test('shapes of Joomla', async (t) => {
  const columns: readonly Short[] = [
    ['introtext', 'text'],
    ['language', 'text', { values: ['*', 'en-GB'] }],
    ['catid', 'integer'],
    ['access', 'integer'],
    ['date', 'instant'],
  ]
  const categories = (more: readonly Short[]) =>
    table('categories', [['id', 'integer'], ['title', 'text'], ['alias', 'text'], ...more])
  const nested: readonly Short[] = [
    ['level', 'integer'],
    ['lft', 'integer'],
    ['rgt', 'integer'],
  ]
  const published: Short = ['published', 'integer']
  const { posts, prelude, views } = proposed(t, columns, [categories([...nested, published])])
  t.match(prelude, [/plain_text/])
  t.match(posts.columns, {
    excerpt: "coalesce(popular_posts_schema.plain_text(post.introtext), '')",
    language: "nullif(post.language, '*')",
    is_private:
      /^post\.access <> 1 or exists \(select from public\.categories as shelf .* and not \(shelf\.published = 1\)\)$/,
  })
  t.match(views.categories, /term\.alias as slug[\s\S]*where term\.level > 0$/)
  t.match(proposed(t, columns, [categories([published, ['is_private', 'boolean']])]).posts.columns, {
    is_private: / and \(shelf\.is_private or not \(shelf\.published = 1\)\)\)$/,
  })
})
