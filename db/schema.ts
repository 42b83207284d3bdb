import type { ColumnType, Generated, QueryCreator } from 'kysely'

/** A `bigint` column: PostgreSQL drivers return it as a string, a number or a bigint, and accept any of them. */
type BigInteger = ColumnType<string | number | bigint, string | number | bigint, string | number | bigint>
type GeneratedBigInteger = ColumnType<string | number | bigint, never, never>
type Timestamp = ColumnType<Date, Date | string, Date | string>
type GeneratedTimestamp = ColumnType<Date, Date | string | undefined, Date | string>

/**
 * The counters of this package: the only tables that a host with its own blog needs.
 * `views` columns are never indexed, so that every update of a counter is a HOT update.
 */
export interface CounterTables {
  /** Views per hour (UTC), stored for two days: `days=1` sums them. */
  post_views_hourly: { hour: Timestamp; post_id: BigInteger; views: BigInteger }
  /** Views per day of the site's time zone, `YYYY-MM-DD`: every longer window sums them. */
  post_views_daily: { day: ColumnType<Date | string, string, string>; post_id: BigInteger; views: BigInteger }
  /** The all-time views, and the trending score (see `heat` in `db/count-views.ts`). */
  post_views_total: {
    post_id: BigInteger
    views: BigInteger
    heat: number
    /** Steps of `views` and `heat`, in the same order, for indexes: see `027-ranks.ts`. */
    views_rank: ColumnType<number, never, never>
    heat_rank: ColumnType<number, never, never>
  }
  /** Sums of the closed days of windows (see `db/window-rollups.ts`), and the number of changes of each day. */
  post_views_window: { days: number; last_day: string; touches: BigInteger; post_id: BigInteger; views: BigInteger }
  post_views_touch: { day: ColumnType<Date | string, string, string>; times: BigInteger }
  /** The ledger of batches: a batch whose id is here has been counted. */
  post_views_batch: { id: string; applied_at: GeneratedTimestamp }
  /** What all processes agree on: `time_zone` (see `db/time-zone.ts`). */
  popular_posts_site: { name: string; value: string }
}

/** The ledger of `popular-posts import-log`: see `db/log-ledger.ts`. */
export interface LogImportTables {
  /** Each import that brought a visit, and the imports that had visits of it before. */
  post_views_log_import: {
    id: GeneratedBigInteger
    started_at: GeneratedTimestamp
    /** The name of the log, for people. */
    source: string
    known_from: ColumnType<string[], never, never>
  }
  /** Visits of one import in one hour, which is in hours since the epoch. */
  post_views_log_visits: {
    id: GeneratedBigInteger
    import_id: BigInteger
    hour: number
    post_ids: ColumnType<string[], readonly (string | number)[], readonly (string | number)[]>
    visits: Buffer
  }
  /** The ledger of earlier versions, which knew chunks of logs. */
  post_views_log_chunk: { imported_at: GeneratedTimestamp }
}

/**
 * The ledger of `popular-posts import-counts`: what each export says of each post and day. The greatest number that the
 * exports of a source have for a post and day is in the counters.
 */
export interface CountImportTables {
  post_views_import: { id: GeneratedBigInteger; source: string; imported_at: GeneratedTimestamp }
  post_views_import_count: {
    import_id: BigInteger
    /** `-infinity`: the total of all time. */
    day: ColumnType<Date | string, string, string>
    post_id: BigInteger
    /** The hour of views of about the last day; `-infinity`: the views are counted as of noon. */
    hour: ColumnType<Date | number, Date | string, Date | string>
    /** The views of the hour. Those of the day are the sum of its hours. */
    views: BigInteger
    /** The heat of the post in the database that exported it, in the row of a total. */
    heat: number | null
  }
}

/** The blog of the service: the demo fills it, and `import-log --create-posts` adds posts. */
export interface BlogTables {
  authors: { id: GeneratedBigInteger; slug: string; name: string }
  posts: {
    id: GeneratedBigInteger
    slug: string
    title: string
    url: string
    excerpt: Generated<string>
    author_id: ColumnType<
      BigInteger['__select__'] | null,
      BigInteger['__insert__'] | null | undefined,
      BigInteger['__update__'] | null
    >
    /** `null`: a draft. In the future: scheduled. */
    published_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>
    /** A private post is never listed. */
    is_private: Generated<boolean>
    image_url: ColumnType<string | null, string | null | undefined, string | null>
    image_width: ColumnType<number | null, number | null | undefined, number | null>
    image_height: ColumnType<number | null, number | null | undefined, number | null>
    image_alt: Generated<string>
    reading_minutes: Generated<number>
    /** The language as a BCP 47 tag, such as `pt-BR`; `null`: unknown. An adopted blog may lack the column. */
    language: ColumnType<string | null, string | null | undefined, string | null>
  }
  categories: {
    id: GeneratedBigInteger
    slug: string
    name: string
    /** The category above; `null`: none. An adopted blog may lack the column. */
    parent_id: ColumnType<
      BigInteger['__select__'] | null,
      BigInteger['__insert__'] | null | undefined,
      BigInteger['__update__'] | null
    >
  }
  /** Earlier slugs of posts, for views of their old addresses. A trigger on `posts` adds them. */
  post_aliases: { slug: string; post_id: BigInteger }
  /** The ids of posts in feeds, as digests. */
  feed_posts: { id: string; post_id: BigInteger }
  post_categories: { post_id: BigInteger; category_id: BigInteger }
  tags: { id: GeneratedBigInteger; slug: string; name: string }
  post_tags: { post_id: BigInteger; tag_id: BigInteger }
  comments: {
    id: GeneratedBigInteger
    post_id: BigInteger
    author_name: string
    body: string
    is_approved: Generated<boolean>
    created_at: GeneratedTimestamp
  }
  /** Facts about the database, such as whether it has the demo blog. */
  site_facts: { name: string; value: string }
}

/** All tables of the service. */
export interface Database extends CounterTables, LogImportTables, CountImportTables, BlogTables {}

/** What a query that reads the blog needs of a Kysely instance: a `RowGuard` leaves rows out of the tables. */
export type BlogReader = Pick<QueryCreator<BlogTables & CounterTables>, 'with' | 'selectFrom' | 'selectNoFrom'>
