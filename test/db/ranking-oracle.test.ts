import fc from 'fast-check'
import { DateTime } from 'luxon'
import t from 'tap'
import { findCategories } from '../../db/categories.ts'
import { bucketStart, countBatch, type ViewBucket } from '../../db/count-views.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { encodeList } from '../../lists/encode-list.ts'
import { DecodedList } from '../../lists/stored-list.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Pacific/Chatham',
  'Pacific/Apia',
]
/** Times at which a day begins, ends, or has 23 or 25 hours in some time zone. */
const edges = [
  '2026-03-29T01:00:00Z',
  '2026-10-25T01:00:00Z',
  '2026-03-08T07:00:00Z',
  '2026-11-01T06:00:00Z',
  '2026-06-15T18:30:00Z',
  '2026-06-15T00:00:00Z',
  '2024-02-29T12:00:00Z',
].map((moment) => Date.parse(moment))

interface Post {
  publishedAtMs: number | null
  isPrivate: boolean
  author: number | null
  categories: number[]
  tags: number[]
  comments: number
  language: string | null
}
interface Blog {
  nowMs: number
  timeZone: string
  posts: Post[]
  /** The parent of each category. Circles are possible. */
  parents: (number | null)[]
  /** Raw views: the post, and the time before now (some are shortly after now). */
  views: { post: number; atMs: number }[]
}

const post: fc.Arbitrary<Post> = fc.record({
  publishedAtMs: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -400, max: -1 }) },
    { weight: 1, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.constant(null) },
  ),
  isPrivate: fc
    .boolean()
    .map((isPublic) => !isPublic)
    .chain((isPrivate) => fc.integer({ min: 0, max: 4 }).map((dice) => isPrivate && dice === 0)),
  author: fc.option(fc.integer({ min: 0, max: 1 })),
  categories: fc.uniqueArray(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }),
  tags: fc.uniqueArray(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }),
  comments: fc.integer({ min: 0, max: 3 }),
  language: fc.constantFrom(null, 'en', 'en-GB', 'EN_us', 'eng', 'pt_BR', ''),
})

/** One or two numbers from 0. */
const some = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 2 })

const blog: fc.Arbitrary<Blog> = fc
  .record({
    nowMs: fc
      .tuple(fc.constantFrom(...edges), fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }))
      .map(([edge, offset]) => edge + offset),
    timeZone: fc.constantFrom(...zones),
    posts: fc.array(post, { minLength: 1, maxLength: 8 }),
    parents: fc.array(fc.option(fc.integer({ min: 0, max: 2 })), { minLength: 3, maxLength: 3 }),
  })
  .chain(({ nowMs, timeZone, posts, parents }) =>
    fc
      .array(
        fc.record({
          post: fc.integer({ min: 0, max: posts.length - 1 }),
          // Most are near the limits of the windows: hours, one day, a few days, a month, a year.
          atMs: fc
            .tuple(
              fc.constantFrom(0, 1, 2, 3, 7, 8, 30, 31, 364, 365, 366),
              fc.integer({ min: -30 * HOUR_MS, max: 30 * HOUR_MS }),
            )
            .map(([days, offset]) => Math.min(nowMs + 2 * HOUR_MS, nowMs - days * DAY_MS + offset)),
        }),
        { maxLength: 60 },
      )
      .map((views) => ({
        nowMs,
        timeZone,
        parents,
        posts: posts.map((one) => ({ ...one, publishedAtMs: one.publishedAtMs && nowMs + one.publishedAtMs * DAY_MS })),
        views,
      })),
  )

/** Whether a raw view is in a window, computed from the calendar, not from counters. */
function isInWindow(atMs: number, days: number, { nowMs, timeZone }: Blog): boolean {
  if (days === 0) return true
  if (days === 1) {
    const hours = Math.floor(nowMs / HOUR_MS) - Math.floor(atMs / HOUR_MS)
    return hours >= 0 && hours <= 24
  }
  const dateOf = (ms: number) => DateTime.fromMillis(ms, { zone: timeZone }).toISODate() ?? ''
  const today = DateTime.fromMillis(nowMs, { zone: timeZone })
  const first =
    DateTime.fromObject({ year: today.year, month: today.month, day: today.day }, { zone: 'UTC' })
      .minus({ days })
      .toISODate() ?? ''
  return dateOf(atMs) >= first && dateOf(atMs) <= dateOf(nowMs)
}

/** The category and all categories above it. */
function selfAndAbove(category: number, parents: Blog['parents']): Set<number> {
  const found = new Set<number>()
  for (let at: number | null = category; at !== null && !found.has(at); at = parents[at] ?? null) found.add(at)
  return found
}

/** Whether the words of a language tag begin with those of another one, by RFC 4647. */
function isVariant(tag: string | null, of: string): boolean {
  const words = (text: string) => text.toLowerCase().split(/[-_]/)
  return tag !== null && words(of).every((word, index) => words(tag)[index] === word)
}

t.test('lists equal those that are computed from raw views by calendar', async (t) => {
  const { db } = await createTestDatabase(t)
  const named = (kind: string) => [0, 1, 2].map((index) => ({ slug: `${kind}-${index}`, name: `${kind} ${index}` }))
  await db.insertInto('authors').values(named('author').slice(0, 2)).execute()
  await db.insertInto('categories').values(named('category')).execute()
  await db.insertInto('tags').values(named('tag')).execute()
  const idsOf = async (table: 'authors' | 'categories' | 'tags') =>
    (await db.selectFrom(table).select('id').orderBy('slug').execute()).map(({ id }) => String(id))
  const [authors, categories, tags] = [await idsOf('authors'), await idsOf('categories'), await idsOf('tags')]

  /** Fills the database. Resolves to the ids of the posts in the order of the blog. */
  async function fill({ posts, views, timeZone, nowMs, parents }: Blog): Promise<number[]> {
    for (const table of ['posts', 'post_views_hourly', 'post_views_daily', 'post_views_total'] as const) {
      await db.deleteFrom(table).execute()
    }
    for (const [index, parent] of parents.entries())
      await db
        .updateTable('categories')
        .set({ parent_id: parent === null ? null : (categories[parent] ?? null) })
        .where('id', '=', categories[index] ?? '')
        .execute()
    const rows = posts.map((one, index) => ({
      slug: `post-${index}`,
      title: `Post ${index}`,
      url: `/post-${index}`,
      author_id: one.author === null ? null : (authors[one.author] ?? null),
      published_at: one.publishedAtMs === null ? null : new Date(one.publishedAtMs),
      is_private: one.isPrivate,
      language: one.language,
    }))
    const inserted = await db.insertInto('posts').values(rows).returning(['id', 'slug']).execute()
    const ids = posts.map((_one, index) => Number(inserted.find(({ slug }) => slug === `post-${index}`)?.id))
    const links = <T>(pick: (one: Post) => number[], all: string[], row: (post: number, id: string) => T) =>
      posts.flatMap((one, index) => pick(one).map((link) => row(Number(ids[index]), String(all[link]))))
    const inCategories = links(
      (one) => one.categories,
      categories,
      (post_id, category_id) => ({ post_id, category_id }),
    )
    const withTags = links(
      (one) => one.tags,
      tags,
      (post_id, tag_id) => ({ post_id, tag_id }),
    )
    const comments = posts.flatMap((one, index) =>
      Array.from({ length: one.comments }, (_none, nth) => ({
        post_id: Number(ids[index]),
        author_name: 'A',
        body: 'B',
        is_approved: nth !== 1,
      })),
    )
    if (inCategories.length > 0) await db.insertInto('post_categories').values(inCategories).execute()
    if (withTags.length > 0) await db.insertInto('post_tags').values(withTags).execute()
    if (comments.length > 0) await db.insertInto('comments').values(comments).execute()
    const buckets: ViewBucket[] = views.map(({ post, atMs }) => ({
      postId: Number(ids[post]),
      bucketStartMs: bucketStart(atMs),
      views: 1,
    }))
    // Sums of an earlier day, and a day that changes after it was summed.
    const earlier = nowMs - (buckets.length % 4) * DAY_MS
    if (buckets.length % 5 > 0)
      for (const days of [2, 7, 30, 365]) await materializeWindow(db, { days, timeZone, nowMs: earlier })
    // Two batches, so that counters are inserted and updated.
    const middle = Math.floor(buckets.length / 2)
    for (const part of [buckets.slice(0, middle), buckets.slice(middle)]) {
      await countBatch(db, { id: String(Math.random()), timeZone, nowMs, buckets: part })
      // Sums are stored for the first half, for all, or never; lists must be the same.
      if (part.length % 3 > 0)
        for (const days of [2, 7, 30, 365])
          await materializeWindow(db, { days, timeZone, nowMs: part.length % 3 > 1 ? earlier : nowMs })
    }
    return ids
  }

  await fc.assert(
    fc.asyncProperty(
      blog,
      fc.constantFrom(0, 1, 2, 7, 30, 365),
      fc.record(
        {
          category: some(2),
          excludeCategory: some(2),
          tag: some(2),
          author: some(1),
          language: fc.constantFrom('en', 'en-gb', 'pt', 'pt-br', 'fr'),
          publishedWithin: fc.constantFrom(1, 7, 30, 365),
        },
        { requiredKeys: [] },
      ),
      fc.record({
        offset: fc.integer({ min: 0, max: 4 }),
        limit: fc.integer({ min: 1, max: 4 }),
        minViews: fc.integer({ min: 0, max: 3 }),
      }),
      fc.record({
        limit: fc.integer({ min: 1, max: 8 }),
        reach: fc.integer({ min: 1, max: 9 }),
        sizes: fc.record({
          enough: fc.integer({ min: 1, max: 2 }),
          few: fc.constantFrom(0, 3),
          many: fc.constantFrom(3, 1000),
        }),
      }),
      async (blog, days, filter, cut, top) => {
        const ids = await fill(blog)
        const isBelow = (ofPost: number[], roots: number[]) =>
          ofPost.some((category) => roots.some((root) => selfAndAbove(category, blog.parents).has(root)))
        const viewsOf = (index: number, window: number) =>
          blog.views.filter((view) => view.post === index && isInWindow(view.atMs, window, blog)).length
        const expected = blog.posts
          .map((one, index) => ({
            ...one,
            id: Number(ids[index]),
            index,
            views: viewsOf(index, days),
            totalViews: viewsOf(index, 0),
          }))
          .filter((one) => one.publishedAtMs !== null && one.publishedAtMs <= blog.nowMs && !one.isPrivate)
          .filter(({ categories }) => filter.category === undefined || isBelow(categories, filter.category))
          .filter(({ categories }) => !isBelow(categories, filter.excludeCategory ?? []))
          .filter(({ tags }) => filter.tag?.some((tag) => tags.includes(tag)) ?? true)
          .filter(({ author }) => filter.author?.some((one) => one === author) ?? true)
          .filter(({ language }) => filter.language === undefined || isVariant(language, filter.language))
          .filter(({ publishedAtMs }) => {
            const ageDays = (blog.nowMs - Number(publishedAtMs)) / DAY_MS
            return filter.publishedWithin === undefined || ageDays < filter.publishedWithin
          })
          .sort(
            (a, b) =>
              b.views - a.views ||
              b.totalViews - a.totalViews ||
              Number(b.publishedAtMs) - Number(a.publishedAtMs) ||
              b.id - a.id,
          )
        const query = {
          days,
          nowMs: blog.nowMs,
          timeZone: blog.timeZone,
          limit: 50,
          category: filter.category?.map((one) => `category-${one}`),
          excludeCategory: filter.excludeCategory?.map((one) => `category-${one}`),
          tag: filter.tag?.map((one) => `tag-${one}`),
          author: filter.author?.map((one) => `author-${one}`),
          language: filter.language,
          publishedWithin: filter.publishedWithin,
        }
        const found = await findPopularPosts(db, { ...query, sort: 'views' })
        const seen = ({ id, views, totalViews, commentCount, tags, categories, author }: (typeof found)[number]) =>
          JSON.stringify([
            id,
            views,
            totalViews,
            commentCount,
            tags,
            categories.map(({ slug }) => slug),
            author?.slug ?? null,
          ])
        const wanted = expected.map((one) =>
          JSON.stringify([
            ...[String(one.id), one.views, one.totalViews, one.comments - (one.comments > 1 ? 1 : 0)],
            one.tags.toSorted().map((tag) => `tag ${tag}`),
            one.categories.toSorted().map((category) => `category-${category}`),
            one.author === null ? null : `author-${one.author}`,
          ]),
        )
        if (found.map(seen).join() !== wanted.join())
          throw new Error(`expected\n${wanted.join('\n')}\ngot\n${found.map(seen).join('\n')}`)

        const first = await findPopularPosts(db, { ...query, limit: top.limit, sort: 'views' }, top.reach, top.sizes)
        if (first.map(seen).join() !== wanted.slice(0, top.limit).join())
          throw new Error(`expected the first ${top.limit}\n${wanted.join('\n')}\ngot\n${first.map(seen).join('\n')}`)

        const page = new DecodedList(encodeList(found, 'load')).body(cut)
        const wantedPage = expected
          .filter(({ views }) => views >= cut.minViews)
          .slice(cut.offset, cut.offset + cut.limit)
          .map(({ id }) => String(id))
        const pageIds = (JSON.parse(page.body.toString()) as { id: string }[]).map(({ id }) => id)
        if (pageIds.join() !== wantedPage.join())
          throw new Error(`expected the page ${wantedPage.join()}, got ${pageIds.join()}`)

        const trending = await findPopularPosts(db, { ...query, sort: 'trending' })
        const heatOf = (id: string) =>
          blog.views
            .filter((view) => String(ids[view.post]) === id)
            .reduce((sum, { atMs }) => sum + 2 ** ((bucketStart(atMs) - blog.nowMs) / DAY_MS), 0)
        const heats = trending.map(({ id }) => heatOf(id))
        heats.forEach((heat, index) => {
          const next = heats[index + 1] ?? 0
          if (next > heat * (1 + 1e-9)) throw new Error(`trending is out of order at ${index}: ${heats.join(', ')}`)
        })
        if (trending.length !== expected.length) throw new Error('trending has other posts')
        const hottest = await findPopularPosts(
          db,
          { ...query, limit: top.limit, sort: 'trending' },
          top.reach,
          top.sizes,
        )
        if (JSON.stringify(hottest) !== JSON.stringify(trending.slice(0, top.limit)))
          throw new Error(`expected ${JSON.stringify(trending)}, got the first ${JSON.stringify(hottest)}`)
        for (const one of trending) {
          const wantedViews = viewsOf(ids.indexOf(Number(one.id)), days)
          if (one.views !== wantedViews) throw new Error(`trending: expected ${wantedViews} views, got ${one.views}`)
        }

        const listed = await findCategories(db, query)
        const isLive = ({ publishedAtMs, isPrivate }: (typeof blog.posts)[number]) =>
          publishedAtMs !== null && publishedAtMs <= blog.nowMs && !isPrivate
        const counted = [0, 1, 2].map((category) => {
          const live = blog.posts
            .map((one, index) => ({ ...one, index }))
            .filter((one) => isLive(one) && isBelow(one.categories, [category]))
          const views = live.reduce((sum, one) => sum + viewsOf(one.index, days), 0)
          return `category-${category}: ${live.length} posts, ${views} views`
        })
        const wantedCategories = counted.filter((text) => !text.includes(': 0 posts')).sort()
        const listedCategories = listed
          .map(({ slug, postCount, views }) => `${slug}: ${postCount} posts, ${views} views`)
          .sort()
        if (listedCategories.join() !== wantedCategories.join())
          throw new Error(`expected ${wantedCategories.join()}, got ${listedCategories.join()}`)
      },
    ),
    { numRuns: 150 },
  )
  t.pass('150 blogs')
})
