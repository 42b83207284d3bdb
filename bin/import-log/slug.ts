import { pathOf } from './paths.ts'
import { postsInFolder } from './posts-in-folder.ts'

/** Returns the slug of the post at a decoded path; empty or `undefined`: the path is no post. */
export type PostPattern = (path: string) => string | undefined

/** The post of a request. */
export interface RequestedPost {
  slug: string
  /** The decoded path. */
  path: string
}

/** Longer paths are no posts, and patterns do not run on them: some patterns take quadratic time. */
const MAX_PATH_LENGTH = 4096

/** Matches the path of a folder, and no regular expression with a group. */
const FOLDER = /^[\p{L}\p{N}/._~%-]+$/u

/**
 * Compiles `--post`: a folder, or a regular expression whose group `slug` is the slug of the post.
 * @throws an error for the user, if it is neither.
 */
export function compilePostPattern(source: string): PostPattern {
  if (FOLDER.test(source)) return postsInFolder(pathOf(source))
  let pattern: RegExp
  try {
    pattern = new RegExp(source)
  } catch (cause) {
    throw new Error(`--post is neither a folder, such as /blog/, nor a regular expression: ${source}`, { cause })
  }
  // An empty alternative always matches, so the result has the names of all groups.
  if (!Object.hasOwn(new RegExp(`${source}|`).exec('')?.groups ?? {}, 'slug')) {
    throw new Error(
      `--post needs a folder, such as /blog/, or a group named slug, such as '^/blog/(?<slug>[^/]+)\\.html$', got: ${source}`,
    )
  }
  return (path) => pattern.exec(path)?.groups?.['slug']
}

/**
 * The post of a request target, if it has one.
 * @param pattern applied to the decoded path. Default: the slug is the last part of the path, without `.html`;
 * `/a/index.html` is `/a/`.
 */
export function requestedPost(target: string, pattern: PostPattern = lastSegment): RequestedPost | undefined {
  const path = pathOf(target)
  if (path.length > MAX_PATH_LENGTH) return undefined
  const slug = pattern(path)
  return slug === undefined || slug === '' ? undefined : { slug, path }
}

function lastSegment(path: string): string {
  let end = path.endsWith('/index.html') ? path.length - 'index.html'.length : path.length
  while (path[end - 1] === '/') end--
  const segment = path.slice(path.lastIndexOf('/', end - 1) + 1, end)
  return segment.endsWith('.html') ? segment.slice(0, -'.html'.length) : segment
}
