/** Fifty posts of a usual size. */
export const POSTS = Array.from({ length: 50 }, (_none, index) => ({
  id: index + 1,
  slug: `a-post-of-the-blog-number-${index}`,
  title: `A post of the blog, number ${index}, and a few words more`,
  url: `/posts/a-post-of-the-blog-number-${index}`,
  excerpt: 'It took the whole of the northern sheet and seemed to enjoy the contour lines most.',
  publishedAt: '2026-11-17T09:30:00.000Z',
  author: { name: 'Maren Holt', slug: 'maren' },
  categories: [{ name: 'Mishaps', slug: 'mishaps' }],
  tags: ['Maps', 'Mountains'],
  image: null,
  readingMinutes: 5,
  commentCount: 5,
  views: 10_000 - index,
  totalViews: 20_000 - index,
}))

/** The headers of a list, as they are ten seconds after it was loaded. */
export const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  etag: '"0123456789abcdefghijklmnopq"',
  age: '10',
  'cache-control': 'public, max-age=70, stale-while-revalidate=300, stale-if-error=86400',
  vary: 'accept-encoding',
  'cache-status': 'popular-posts; hit; ttl=1712',
  'server-timing': 'cache;desc=hit',
}
