/** A post as a request named it. */
export interface RequestedPost {
  slug: string
  /** The path, decoded. */
  path: string
}

/** A longer path is no page, and no pattern is run on it: an unlucky one takes quadratic time. */
const MAX_PATH_LENGTH = 4096

/**
 * Compiles what `--post` was given.
 * @throws a sentence for the user, when it is no regular expression or has no group named `slug`.
 */
export function compilePostPattern(source: string): RegExp {
  let pattern: RegExp
  try {
    pattern = new RegExp(source)
  } catch (cause) {
    throw new Error(`--post is not a regular expression: ${source}`, { cause })
  }
  // An alternative that always matches makes the names of all groups known.
  if (!Object.hasOwn(new RegExp(`${source}|`).exec('')?.groups ?? {}, 'slug')) {
    throw new Error(`--post needs a group named slug, such as '^/blog/(?<slug>[^/]+)\\.html$', got: ${source}`)
  }
  return pattern
}

/**
 * The post that a request target names, if it names one.
 * @param pattern is tested on the decoded path, and its group `slug` is the slug (no flags `g` or `y`). Without it the
 * slug is the last part of the path, without `.html`.
 */
export function requestedPost(target: string, pattern?: RegExp): RequestedPost | undefined {
  const path = pathOf(target)
  if (path.length > MAX_PATH_LENGTH) return undefined
  const slug = pattern === undefined ? lastSegment(path) : pattern.exec(path)?.groups?.['slug']
  return slug === undefined || slug === '' ? undefined : { slug, path }
}

/**
 * The path of a request target (RFC 9112, section 3.2), decoded: no query, no fragment, no origin. A path whose escapes
 * are broken is left as it is.
 */
export function pathOf(target: string): string {
  const path = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '')
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * A decoded path as the path of a URL. It begins with exactly one slash, whatever the client sent: `//host/x` would be
 * a link to another site.
 */
export function urlOfPath(path: string): string {
  return `/${path.replace(/^\/+/, '').split('/').map(encodeURIComponent).join('/')}`
}

function lastSegment(path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end--
  const segment = path.slice(path.lastIndexOf('/', end - 1) + 1, end)
  return segment.endsWith('.html') ? segment.slice(0, -'.html'.length) : segment
}
