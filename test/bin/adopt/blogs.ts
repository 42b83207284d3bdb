import type { Choices } from '../../../bin/adopt/proposal.ts'

/** A blog with the tables of a product, in test/fixtures/adopt, and what its lists must show. */
interface Blog {
  /** The name of the file. */
  name: string
  /** What the user must say. */
  choices?: Choices
  /** Questions, by their flags: the answer is in `choices`. */
  asks?: string[]
  /** The post `one`, as lists show it. */
  one: object
  /** Slugs of all posts of the list. */
  slugs?: string[]
  /** Slugs of authors by which the post is found. */
  authors?: string[]
  /** Slugs of categories by which the post is found. */
  categories?: string[]
  /** Slugs of tags by which the post is found. */
  tags?: string[]
  /** What the user changes in the SQL by hand. */
  edit?: (sql: string) => string
  /** A statement that publishes the post `hidden`. */
  publish: string
}

const published = '2020-01-01T00:00:00.000Z'
const [ann, news] = [
  { name: 'Ann', slug: 'ann' },
  { name: 'News', slug: 'news' },
]
const oakes = { name: 'Ann Oakes', slug: 'ann' }

export const BLOGS: readonly Blog[] = [
  {
    name: 'ghost',
    one: {
      id: 'p1',
      title: 'One',
      url: '/one',
      excerpt: 'First',
      publishedAt: published,
      author: ann,
      tags: ['Red'],
      image: { url: 'https://blog.example/one.jpg' },
      commentCount: 1,
    },
    authors: ['ann', 'bob'],
    tags: ['red'],
    publish: "update posts set status = 'published', published_at = '2020-01-02' where id = 'p2'",
  },
  {
    name: 'wordpress',
    choices: { url: '/{year}/{month}/{day}/{slug}-{id}/' },
    one: {
      id: '1',
      title: 'Fish & Chips',
      url: '/2020/01/01/one-1/',
      excerpt: 'First',
      publishedAt: published,
      author: { name: 'Ann & Co', slug: 'ann' },
      categories: [news],
      tags: ['Red'],
      image: { url: 'https://blog.example/hill.jpg' },
      commentCount: 1,
    },
    authors: ['ann'],
    categories: ['news', 'world'],
    tags: ['red'],
    publish: "update wp_posts set post_status = 'publish' where post_name = 'hidden'",
  },
  {
    name: 'wagtail',
    one: {
      id: '2',
      title: 'One',
      url: '/blog/one/',
      excerpt: 'First',
      publishedAt: published,
      author: { name: 'Ann Oakes', slug: 'ann-oakes' },
      tags: ['Red'],
      image: { url: '/media/original_images/loaf.jpg', width: 800, height: 600, alt: 'A loaf' },
    },
    authors: ['ann-oakes', 'bob-elm'],
    tags: ['red'],
    publish: "update wagtailcore_page set live = true, first_published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'django',
    choices: { published: "status = 'PB'", url: '/blog/{year}/{month}/{day}/{slug}/' },
    asks: ['published'],
    one: {
      id: '1',
      url: '/blog/2020/01/01/one/',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
      image: { url: '/media/covers/one.jpg' },
      commentCount: 1,
    },
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: "update blog_post set status = 'PB' where slug = 'hidden'",
  },
  {
    name: 'payload',
    one: {
      id: '1',
      title: 'One',
      excerpt: 'First',
      publishedAt: published,
      author: ann,
      categories: [news],
      image: { url: '/api/media/file/hill.jpg', width: 800, height: 600, alt: 'A hill' },
    },
    authors: ['ann', 'bob'],
    categories: ['news', 'world'],
    publish: "update posts set _status = 'published', published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'strapi',
    one: {
      id: 'doc1',
      title: 'One',
      excerpt: 'First',
      publishedAt: published,
      author: { name: 'Ann Oakes', slug: 'ann-oakes' },
      categories: [news],
      image: { url: '/uploads/hill.jpg', width: 800, height: 600, alt: 'A hill' },
    },
    authors: ['ann-oakes'],
    categories: ['news'],
    publish: `insert into articles (id, document_id, title, slug, created_at, published_at, locale)
      values (9, 'doc2', 'Hidden', 'hidden', '2019-12-01', '2020-01-02', 'en')`,
  },
  {
    name: 'directus',
    choices: { url: '/blog/{slug}' },
    one: {
      id: '00000000-0000-4000-8000-00000000000a',
      url: '/blog/one',
      excerpt: 'First',
      publishedAt: published,
      author: { name: 'Ann Oakes', slug: 'ann-oakes' },
      tags: ['Red'],
      image: { url: '/assets/00000000-0000-4000-8000-000000000002', width: 800, height: 600 },
    },
    authors: ['ann-oakes'],
    tags: ['red'],
    publish: "update posts set status = 'published', published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'keystone',
    one: { id: 'ckpost1', title: 'One', publishedAt: published, author: ann, tags: ['Red'] },
    authors: ['ann'],
    tags: ['red'],
    publish: `update "Post" set status = 'published', "publishDate" = '2020-01-02' where slug = 'hidden'`,
  },
  {
    name: 'prisma',
    one: {
      id: 'clx1',
      publishedAt: published,
      author: ann,
      categories: [news],
      image: { url: '/one.jpg' },
      commentCount: 1,
    },
    authors: ['ann'],
    categories: ['news'],
    publish: `update "Post" set published = true where slug = 'hidden'`,
  },
  {
    name: 'drupal',
    slugs: ['blog/one'],
    one: {
      id: '1',
      slug: 'blog/one',
      title: 'One',
      url: '/blog/one',
      publishedAt: published,
      author: ann,
      tags: ['Red'],
      image: { url: '/sites/default/files/2020-01/hill.jpg', width: 800, height: 600, alt: 'A hill' },
      commentCount: 1,
    },
    authors: ['ann'],
    tags: ['red'],
    publish: 'update node_field_data set status = 1 where nid = 2',
  },
  {
    name: 'discourse',
    choices: { url: '/t/{slug}/{id}' },
    one: {
      id: '1',
      url: '/t/one/1',
      publishedAt: published,
      author: ann,
      categories: [news],
      tags: ['Red'],
      commentCount: 1,
    },
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: 'update topics set visible = true where id = 2',
  },
  {
    name: 'puput',
    one: {
      id: '2',
      url: '/blog/one/',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
    },
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: "update wagtailcore_page set live = true where slug = 'hidden'",
  },
  {
    name: 'zinnia',
    choices: { published: 'status = 2' },
    asks: ['published'],
    one: { id: '1', publishedAt: published, author: oakes, categories: [news], tags: ['Blue', 'Red'], image: null },
    authors: ['ann', 'bob'],
    categories: ['news'],
    tags: ['red', 'blue'],
    publish: "update zinnia_entry set status = 2 where slug = 'hidden'",
  },
  {
    name: 'forem',
    one: {
      id: '1',
      url: '/ann/one',
      excerpt: 'First',
      publishedAt: published,
      author: ann,
      categories: [news],
      tags: ['red'],
      image: { url: 'https://blog.example/one.jpg' },
      readingMinutes: 4,
      commentCount: 1,
    },
    authors: ['ann', 'bob'],
    categories: ['news'],
    tags: ['red'],
    publish: "update articles set published = true, published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'publify',
    choices: { url: '/{year}/{month}/{day}/{slug}' },
    one: {
      id: '1',
      url: '/2020/01/01/one',
      excerpt: 'First',
      publishedAt: published,
      author: ann,
      tags: ['Red'],
      commentCount: 1,
    },
    authors: ['ann'],
    tags: ['red'],
    publish: "update contents set published = true, state = 'published', published_at = '2020-01-02' where id = 2",
  },
  {
    name: 'plume',
    choices: { url: '/~/{slug}' },
    one: {
      id: '1',
      url: '/~/one',
      excerpt: 'First',
      publishedAt: published,
      author: ann,
      categories: [news],
      tags: ['Red'],
      image: { url: 'static/media/hill.jpg', alt: 'A hill' },
      commentCount: 1,
    },
    authors: ['ann', 'bob'],
    categories: ['news'],
    tags: ['red'],
    publish: "update posts set published = true where slug = 'hidden'",
  },
  {
    name: 'mezzanine',
    choices: { published: 'status = 2', url: '/blog/{slug}/' },
    asks: ['published'],
    one: {
      id: '1',
      url: '/blog/one/',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
      image: { url: '/media/uploads/one.jpg' },
      commentCount: 1,
    },
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: "update blog_blogpost set status = 2 where slug = 'hidden'",
  },
  {
    name: 'changelog',
    choices: { url: '/posts/{slug}' },
    one: {
      id: '1',
      url: '/posts/one',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news, { name: 'Red', slug: 'red' }],
      image: { url: 'one.png' },
      commentCount: 1,
    },
    // A comment refers to a news item, which has the slug of the post in a text.
    edit: (sql) => `${sql}
create or replace view popular_posts.comments as
select post.id as post_id, comment.approved is true and comment.deleted_at is null as is_approved
from public.news_item_comments as comment
join public.news_items as item on item.id = comment.item_id
join public.posts as post on item.object_id = 'posts:' || post.slug;
select popular_posts.popular_posts_watch('public.news_item_comments', live => 'approved and deleted_at is null');
select popular_posts.popular_posts_watch('public.news_items');
`,
    authors: ['ann'],
    categories: ['news', 'red'],
    publish: "update posts set published = true, published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'canvas',
    choices: { url: '/canvas/{slug}' },
    one: {
      id: '00000000-0000-4000-8000-000000000001',
      url: '/canvas/one',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
      image: { url: '/storage/canvas/images/hill.jpg', alt: 'A hill' },
    },
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: "update canvas_posts set published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'winter',
    choices: {
      url: '/blog/post/{slug}',
      image: `(
        select '/storage/app/uploads/public/' || regexp_replace(disk_name, '^(...)(...)(...).*', '\\1/\\2/\\3/') || disk_name
        from public.system_files as f where f.attachment_type = 'RainLab\\Blog\\Models\\Post' and f.field = 'featured_images'
          and f.attachment_id = id::text order by f.sort_order limit 1
      )`,
    },
    one: {
      id: '1',
      url: '/blog/post/one',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news],
      image: { url: '/storage/app/uploads/public/5f3/e1a/2b4/5f3e1a2b4.jpg' },
    },
    authors: ['ann'],
    categories: ['news', 'world'],
    publish: "update rainlab_blog_posts set published = true where slug = 'hidden'",
  },
  {
    name: 'camaleon',
    choices: {
      url: '/{slug}.html',
      where: 'taxonomy_id = 2',
      image:
        "(select m.value from public.metas as m where m.objectid = id and m.object_class = 'Post' and m.key = 'thumb' limit 1)",
    },
    one: {
      id: '1',
      url: '/one.html',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
      image: { url: '/media/1/hill.jpg' },
      commentCount: 1,
    },
    edit: (sql) =>
      sql.replace(
        "'' as excerpt",
        "(select coalesce(max(value), '') from public.metas where objectid = post.id and object_class = 'Post' and key = 'summary') as excerpt",
      ),
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: "update posts set status = 'published', published_at = '2020-01-02' where slug = 'hidden'",
  },
  {
    name: 'odoo',
    choices: {
      language: 'en_US',
      slug: "trim(both '-' from lower(regexp_replace(coalesce(seo_name ->> 'en_US', name ->> 'en_US'), '[^[:alnum:]]+', '-', 'g'))) || '-' || id",
      url: '/blog/{blog_id}/{slug}',
      image: "substring(cover_properties from 'url\\(''?(/[^)'']+)')",
    },
    asks: ['language', 'slug'],
    slugs: ['one-only-1'],
    one: {
      id: '1',
      title: 'One & Only',
      url: '/blog/1/one-only-1',
      excerpt: 'First',
      publishedAt: published,
      author: { name: 'Ann Oakes', slug: 'ann-oakes' },
      categories: [news],
      tags: ['Red'],
      image: { url: '/web/image/12-redirect/hill.jpg' },
      commentCount: 1,
    },
    authors: ['ann-oakes'],
    categories: ['news'],
    tags: ['red'],
    publish: 'update blog_post set is_published = true where id = 2',
  },
  {
    name: 'joomla',
    choices: {
      published: 'state = 1',
      url: '/blog/{id}-{slug}',
      image: "'/' || split_part(nullif(images, '')::jsonb ->> 'image_intro', '#', 1)",
    },
    asks: ['published'],
    one: {
      id: '1',
      title: 'One',
      url: '/blog/1-one',
      excerpt: 'First',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
      image: { url: '/images/hill.jpg' },
    },
    authors: ['ann'],
    categories: ['news', 'world'],
    tags: ['red'],
    publish: 'update jos_content set state = 1 where id = 2',
  },
  {
    name: 'decidim',
    choices: { language: 'en', slug: 'id', url: '/processes/town/f/{decidim_component_id}/posts/{id}' },
    asks: ['language', 'slug'],
    slugs: ['1'],
    one: {
      id: '1',
      title: 'One',
      url: '/processes/town/f/7/posts/1',
      publishedAt: published,
      author: oakes,
      commentCount: 2,
    },
    authors: ['ann'],
    publish: "update decidim_blogs_posts set published_at = '2020-01-02' where id = 2",
  },
  {
    name: 'craft',
    choices: { where: 'siteId = 1 and sectionId = 1', url: '/{uri}' },
    one: {
      id: '10:1',
      title: 'One',
      url: '/blog/one',
      publishedAt: published,
      author: oakes,
      categories: [news],
      tags: ['Red'],
    },
    // A tag is an element, too: its name is in the table of texts, and a relation refers to it.
    edit: (sql) => `${sql}
create or replace view popular_posts.tags as
select id::text, slug::text, title::text as name from public.elements_sites where "elementId" in (select id from public.tags);
create or replace view popular_posts.post_tags as
select post.id as post_id, texts.id::text as tag_id from popular_posts.posts as post
join public.relations as link on link."sourceId" = split_part(post.id, ':', 1)::integer
join public.elements_sites as texts on texts."elementId" = link."targetId" and texts."siteId" = split_part(post.id, ':', 2)::integer;
select popular_posts.popular_posts_watch('public.relations');
select popular_posts.popular_posts_watch('public.tags');
`,
    authors: ['ann'],
    categories: ['news'],
    tags: ['red'],
    publish: 'update elements set enabled = true where id = 13',
  },
]
