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
    const slug = parameters.get(name) ?? ''
    return { slug, path, query: `?${encodeURIComponent(name)}=${encodeURIComponent(slug)}` }
  }
}

/** `/index.php` is `/`. */
export function withoutIndex(path: string): string {
  return path.replace(/\/index\.\w+$/, '/')
}

function placeOf(path: string): string {
  return withoutIndex(path).replace(/\/+$/, '')
}
