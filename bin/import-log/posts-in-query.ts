/** Parameters of WordPress for what is no page of a post, although `p` is there too. */
const NO_PAGES = ['feed', 'preview', 'embed']

/**
 * Recognises posts that a parameter of the query string names, such as `/?p=123` of WordPress. `/index.php?p=123` is the
 * same post, and so is a path with another number of slashes at its end.
 * @param path the path, such as `/`; the URLs of the posts have it.
 */
export function postsInQuery(path: string, name: string) {
  const place = placeOf(path)
  return (requested: string, query: string) => {
    if (query === '' || placeOf(requested) !== place) return undefined
    const parameters = new URLSearchParams(query)
    if (NO_PAGES.some((other) => parameters.has(other))) return undefined
    const slug = slugIn(parameters, name)
    return { slug, path, query: `?${encodeURIComponent(name)}=${encodeURIComponent(slug)}` }
  }
}

/**
 * The slug in a parameter, without what people paste behind it; empty: none. As in PHP, the last of several values counts,
 * `007` is `7`, and there is no post `0`.
 */
export function slugIn(parameters: URLSearchParams, name: string): string {
  const [value = ''] = (parameters.getAll(name).at(-1) ?? '').split('?', 1)
  const slug = value.trim()
  return /^\d+$/.test(slug) ? slug.replace(/^0+/, '') : slug
}

/** `/index.php` is `/`. */
export function withoutIndex(path: string): string {
  return path.replace(/\/index\.\w+$/, '/')
}

function placeOf(path: string): string {
  return withoutIndex(path).replace(/\/+$/, '')
}
