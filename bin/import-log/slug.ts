import { pathOf } from './paths.ts'
import { postsInFolder } from './posts-in-folder.ts'

/** The slug of the post that a decoded path names; empty or `undefined` where it names none. */
export type PostPattern = (path: string) => string | undefined

/** A post as a request named it. */
export interface RequestedPost {
  slug: string
  /** The path, decoded. */
  path: string
}

/** A longer path is no page, and no pattern is run on it: an unlucky one takes quadratic time. */
const MAX_PATH_LENGTH = 4096

/** What the path of a folder is made of, and no regular expression with a group. */
const FOLDER = /^[\p{L}\p{N}/._~%-]+$/u

/**
 * Compiles what `--post` was given: a folder, or a regular expression whose group `slug` names the post.
 * @throws a sentence for the user, when it is neither.
 */
export function compilePostPattern(source: string): PostPattern {
  if (FOLDER.test(source)) return postsInFolder(pathOf(source))
  let pattern: RegExp
  try {
    pattern = new RegExp(source)
  } catch (cause) {
    throw new Error(`--post is neither a folder, such as /blog/, nor a regular expression: ${source}`, { cause })
  }
  // An alternative that always matches makes the names of all groups known.
  if (!Object.hasOwn(new RegExp(`${source}|`).exec('')?.groups ?? {}, 'slug')) {
    throw new Error(
      `--post needs a folder, such as /blog/, or a group named slug, such as '^/blog/(?<slug>[^/]+)\\.html$', got: ${source}`,
    )
  }
  return (path) => pattern.exec(path)?.groups?.['slug']
}

/**
 * The post that a request target names, if it names one.
 * @param pattern is asked about the decoded path. Without it the slug is the last part of the path, without `.html`.
 */
export function requestedPost(target: string, pattern: PostPattern = lastSegment): RequestedPost | undefined {
  const path = pathOf(target)
  if (path.length > MAX_PATH_LENGTH) return undefined
  const slug = pattern(path)
  return slug === undefined || slug === '' ? undefined : { slug, path }
}

function lastSegment(path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end--
  const segment = path.slice(path.lastIndexOf('/', end - 1) + 1, end)
  return segment.endsWith('.html') ? segment.slice(0, -'.html'.length) : segment
}
