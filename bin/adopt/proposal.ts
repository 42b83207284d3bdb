import type { PostIdType } from '../../db/migrate.ts'

/** The columns of the view `posts`, in its order. The last two are optional. */
export const POST_COLUMNS = [
  'id',
  'slug',
  'title',
  'url',
  'excerpt',
  'author_id',
  'published_at',
  'is_private',
  'image_url',
  'image_width',
  'image_height',
  'image_alt',
  'reading_minutes',
  'language',
  'co_author_ids',
] as const
export type PostColumn = (typeof POST_COLUMNS)[number]

/** The views beside `posts`. */
export const OTHER_VIEWS = ['authors', 'categories', 'tags', 'post_categories', 'post_tags', 'comments'] as const
export type OtherView = (typeof OTHER_VIEWS)[number]

/** A call of `popular_posts_watch`. */
export interface Watch {
  /** The table, as SQL writes it. */
  table: string
  hard?: readonly string[] | undefined
  live?: string | undefined
  liveFrom?: string | undefined
  columns?: readonly string[] | undefined
}

/** How a blog's tables become the views of this package. All expressions are SQL. */
export interface Proposal {
  postId: PostIdType
  /** Statements before the views. */
  prelude: readonly string[]
  posts: {
    columns: Partial<Record<PostColumn, string>>
    from: string
    /** Conditions on rows: all must be true. */
    where: readonly string[]
  }
  /** A query for each view that is not empty. */
  views: Partial<Record<OtherView, string>>
  watches: readonly Watch[]
  /** What the reader of the SQL should check, in sentences. */
  notes: readonly string[]
}

/** What only the user knows: the command asks, or names the flag. */
export interface Question {
  flag: Flag
  /** One sentence that ends in a colon. */
  sentence: string
  /** Values of the flag, the likeliest first. */
  candidates: readonly string[]
}

/** The flags that say what cannot be found out. */
export const FLAGS = {
  posts: 'the table of the posts',
  id: 'the column of its ids',
  slug: 'the column of its slugs',
  title: 'the column of its titles',
  date: 'the column of the time of publication',
  published: 'the condition that a post is published, such as "status = \'live\'"; always: every post with a date is',
  where: 'the condition on rows that are posts of this site, such as "site_id = 3"',
  url: 'the address of a post, such as /blog/{slug}; {id}, {year}, {month}, {day} and columns are known, too',
  language: 'the column of the language (BCP 47), or one language of titles that have several in JSON',
  authors: 'the table, or the column, of the authors; none: there are none',
  categories: 'the table, or the column, of the categories; none: there are none',
  tags: 'the table, or the column, of the tags; none: there are none',
  comments: 'the table of the comments; none: there are none',
  image: 'the column of the picture; none: there is none',
  timeZone: 'the time zone of dates without one (default: UTC)',
} as const
export type Flag = keyof typeof FLAGS
export type Choices = Readonly<Partial<Record<Flag, string>>>
