/** Names of lists, feeds and searches: neither they nor the paths in folders of these names are posts. */
const LISTS = new Set([
  ...['tag', 'tags', 'label', 'labels', 'category', 'categories', 'topic', 'topics', 'series', 'author', 'authors'],
  ...['page', 'archive', 'archives', 'search', 'feed', 'feeds', 'rss', 'atom', 'amp'],
])
/** Names of pages that many sites have beside their posts. */
const PAGES = new Set([
  ...['home', 'blog', 'posts', 'about', 'contact', 'projects', 'privacy', 'imprint', 'impressum', 'sitemap'],
  ...['login', 'signup', 'subscribe', 'wp-admin', 'wp-json', 'wp-login'],
])
const NUMBERED_PAGE = /^page-?\d+$/
const HTML = /\.html?$/i
const FILE =
  /\.(?:xml|rss|atom|json|txt|md|csv|css|m?js|map|webmanifest|png|jpe?g|gif|svg|webp|avif|ico|pdf|zip|gz|tgz|bz2|jar|woff2?|ttf|otf|eot|mp[34]|webm|ogg|php|aspx?|cgi)$/

/**
 * Recognises posts in a folder such as `/blog/` by the addresses of WordPress, Ghost, Hugo, Jekyll, Eleventy, Astro,
 * Next and Django. A post is directly in the folder, or in folders of a date, with or without `.html` or a trailing
 * slash (`/blog/a`, `/blog/a/`, `/2015/05/a/`). With `.html` a post may be deeper; without, a deeper path may be a list
 * of posts.
 * @returns a function from a decoded path to the slug of its post; `undefined`: the path is no post.
 */
export function postsInFolder(folder: string): (path: string) => string | undefined {
  const above = segmentsOf(folder)
  return (path) => {
    const segments = segmentsOf(path)
    if (above.some((name, index) => segments[index] !== name)) return undefined
    const below = segments.slice(above.length)
    // `/blog/a/index.html` is `/blog/a/`.
    if (/^index\.html?$/i.test(below.at(-1) ?? '')) below.pop()
    const file = below.pop()
    return file === undefined ? undefined : slugOf(file, below)
  }
}

function slugOf(file: string, folders: readonly string[]): string | undefined {
  const slug = file.replace(HTML, '')
  const name = slug.toLowerCase()
  if ([name, ...folders.map((folder) => folder.toLowerCase())].some((segment) => LISTS.has(segment))) return undefined
  if (PAGES.has(name) || NUMBERED_PAGE.test(name) || FILE.test(name)) return undefined
  // A list of the posts of a day, a month or a year.
  if (endsWithDate([...folders, name])) return undefined
  return slug !== file || folders.length === 0 || endsWithDate(folders) ? slug : undefined
}

const YEAR = /^(?:19|20)\d\d$/
const MONTH = /^(?:0?[1-9]|1[0-2]|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)$/i
const DAY = /^(?:0?[1-9]|[12]\d|3[01])$/

/** Whether the segments end with a year, a month or a day. Jekyll and WordPress put categories before it. */
function endsWithDate(segments: readonly string[]): boolean {
  const start = segments.findIndex((segment) => YEAR.test(segment))
  if (start === -1) return false
  const [, month = '1', day = '1', ...rest] = segments.slice(start)
  return MONTH.test(month) && DAY.test(day) && rest.length === 0
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '')
}
