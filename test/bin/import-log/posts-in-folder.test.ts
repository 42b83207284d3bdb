import fc from 'fast-check'
import t from 'tap'
import { compilePostPattern, requestedPost } from '../../../bin/import-log/slug.ts'

/** Paths of each program by default or with a common setting, and the slug of the post; `undefined`: no post. */
const SHAPES: Record<string, [folder: string, paths: Record<string, string | undefined>]> = {
  'any blog below /blog/': [
    '/blog/',
    {
      '/blog/a': 'a',
      '/blog/a/': 'a',
      '/blog/a.html': 'a',
      '/blog/a.htm': 'a',
      '/blog/a/index.html': 'a',
      '/blog/a?utm_source=feed&page=2': 'a',
      '/blog/a/#comments': 'a',
      '/blog//a//': 'a',
      'https://blog.example/blog/a': 'a',
      '/blog/%C3%BCber-uns-alle': 'über-uns-alle',
      '/blog/Release-2.0': 'Release-2.0',
      '/blog/section/a.html': 'a',
      '/blog': undefined,
      '/blog/': undefined,
      '/blog/index.html': undefined,
      '/blog/tags/x': undefined,
      '/blog/Tags/x.html': undefined,
      '/blog/tag/x/feed/': undefined,
      '/blog/page/2': undefined,
      '/blog/page/2.html': undefined,
      '/blog/section/': 'section',
      '/blog/section/list/': undefined,
      '/blog/feed': undefined,
      '/blog/feed.xml': undefined,
      '/blog/rss.xml': undefined,
      '/blog/atom.html': undefined,
      '/blog/a.png': undefined,
      '/blog/a/cover.webp': undefined,
      '/blog/.html': undefined,
      '/blogger/a': undefined,
      '/en/blog/a': undefined,
      '/a': undefined,
      '*': undefined,
    },
  ],
  'WordPress, day and name': [
    '/',
    {
      '/2015/05/17/hello-world/': 'hello-world',
      '/2015/05/hello-world/': 'hello-world',
      '/index.php/2015/05/17/hello-world/': 'hello-world',
      '/2015/': undefined,
      '/2015/05/': undefined,
      '/2015/05/17/': undefined,
      '/2015/05/page/2/': undefined,
      '/2015/05/17/hello-world/feed/': undefined,
      '/2015/05/17/hello-world/comment-page-2/': undefined,
      '/category/news/': undefined,
      '/author/ann/': undefined,
      '/tag/x/page/3/': undefined,
      '/feed/': undefined,
      '/comments/feed/': undefined,
      '/wp-login.php': undefined,
      '/wp-content/uploads/2015/05/a.jpg': undefined,
      '/wp-json/wp/v2/posts': undefined,
      '/xmlrpc.php': undefined,
      '/robots.txt': undefined,
      '/sitemap.xml': undefined,
    },
  ],
  'WordPress, PATHINFO': ['/index.php', { '/index.php/2015/05/17/hello-world/': 'hello-world' }],
  'WordPress, post name': ['/', { '/hello-world/': 'hello-world', '/about/': undefined, '/page/2/': undefined }],
  'WordPress, numeric': ['/archives/', { '/archives/123': '123', '/archives/': undefined }],
  'WordPress, category and name': [
    '/news/',
    { '/news/hello-world/': 'hello-world', '/news/': undefined, '/news/page/2/': undefined },
  ],
  Blogger: [
    '/',
    {
      '/2015/05/hello.html': 'hello',
      '/search/label/x': undefined,
      '/feeds/posts/default': undefined,
      '/p/about.html': undefined,
    },
  ],
  Ghost: [
    '/',
    {
      '/hello/': 'hello',
      '/tag/x/': undefined,
      '/author/ann/': undefined,
      '/rss/': undefined,
      '/hello/amp/': undefined,
    },
  ],
  'Hugo, sections': [
    '/posts/',
    {
      '/posts/hello/': 'hello',
      '/posts/': undefined,
      '/posts/index.xml': undefined,
      '/posts/page/2/': undefined,
      '/tags/x/': undefined,
    },
  ],
  'Hugo, ugly URLs': ['/post', { '/post/hello.html': 'hello', '/post/index.html': undefined }],
  'Jekyll, date, pretty and none': [
    '/',
    {
      '/2015/05/17/hello.html': 'hello',
      '/travel/alps/2015/05/17/hello.html': 'hello',
      '/travel/2015/05/17/hello/': 'hello',
      '/hello.html': 'hello',
      '/page2/': undefined,
      '/blog/page2/index.html': undefined,
      '/feed.xml': undefined,
      '/assets/main.css': undefined,
    },
  ],
  Eleventy: ['/blog', { '/blog/hello/': 'hello', '/blog/feed/feed.xml': undefined, '/tags/x/': undefined }],
  Astro: ['blog', { '/blog/hello': 'hello', '/blog/hello/': 'hello', '/_astro/page.abc.js': undefined }],
  Next: [
    '/blog/',
    {
      '/blog/hello': 'hello',
      '/blog/hello?_rsc=1ab2c': 'hello',
      '/_next/data/build/blog/hello.json': undefined,
      '/_next/static/chunks/pages/blog/%5Bslug%5D-abc.js': undefined,
    },
  ],
  Django: [
    '/weblog/',
    {
      '/weblog/2015/may/17/hello/': 'hello',
      '/weblog/2015/5/17/hello/': 'hello',
      '/weblog/2015/hello/': 'hello',
      '/weblog/2015/may/': undefined,
      '/weblog/2015/May/17': undefined,
      '/weblog/feed/': undefined,
    },
  ],
  'a folder with escapes': ['/bl%C3%B6g/', { '/bl%C3%B6g/a': 'a', '/blög/a': 'a' }],
}

for (const [kind, [folder, paths]] of Object.entries(SHAPES)) {
  t.test(`--post ${folder} on the addresses of ${kind}`, async (t) => {
    const post = compilePostPattern(folder)
    for (const [target, slug] of Object.entries(paths)) t.equal(requestedPost(target, post)?.slug, slug, target)
  })
}

t.test('a post in a folder is a part of any path', async (t) => {
  const post = compilePostPattern('/')
  const segment = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('2015', '05', 'Jan', 'tags', 'a.html', ''))
  fc.assert(
    fc.property(fc.array(segment), (segments) => {
      const path = `/${segments.join('/')}`
      const slug = post(path, '')?.slug
      if (slug !== undefined) t.ok(path.includes(slug))
    }),
  )
})
