import { pathOf, queryOf } from './paths.ts'
import { postsInFolder } from './posts-in-folder.ts'
import { postsInQuery } from './posts-in-query.ts'

/**
 * Finds the post of a request by its decoded path and its query string, without `?`. An empty slug or `undefined`: it is
 * for no post.
 */
export type PostPattern = (path: string, query: string) => RequestedPost | undefined

/** The post of a request. */
export interface RequestedPost {
  slug: string
  /** The decoded path of the post. */
  path: string
  /** The query string that names the post, with `?`; empty: the path does. */
  query: string
}

/** Longer paths are no posts, and patterns do not run on them: some patterns take quadratic time. */
const MAX_PATH_LENGTH = 4096

/** Matches the path of a folder, and no regular expression with a group. */
export const FOLDER = /^[\p{L}\p{N}/._~%-]+$/u
/** `/?p=`: the path, and a parameter of its query string. */
const PARAMETER = /^([\p{L}\p{N}/._~%-]*)\?([\w.~-]+)=$/u

/**
 * Compiles `--post`: a folder, a parameter of the query string, or a regular expression whose group `slug` is the slug
 * of the post.
 * @throws an error for the user, if it is none of them.
 */
export function compilePostPattern(source: string): PostPattern {
  if (FOLDER.test(source)) return byPath(postsInFolder(pathOf(source)))
  const [, place, name] = PARAMETER.exec(source) ?? []
  if (name !== undefined) return postsInQuery(pathOf(place || '/'), name)
  let pattern: RegExp
  try {
    pattern = new RegExp(source)
  } catch (cause) {
    throw new Error(`--post is neither a folder, such as /blog/, nor a regular expression: ${source}`, { cause })
  }
  // An empty alternative always matches, so the result has the names of all groups.
  if (!Object.hasOwn(new RegExp(`${source}|`).exec('')?.groups ?? {}, 'slug')) {
    throw new Error(
      `--post needs a folder, such as /blog/, a parameter that names the posts, such as '/?p=', or a group named slug, such as '^/blog/(?<slug>[^/]+)\\.html$', got: ${source}`,
    )
  }
  return byPath((path) => pattern.exec(path)?.groups?.['slug'])
}

/**
 * The post of a request target, if it has one.
 * @param pattern Default: the slug is the last part of the path, without `.html`; `/a/index.html` is `/a/`.
 */
export function requestedPost(target: string, pattern: PostPattern = byLastSegment): RequestedPost | undefined {
  const path = pathOf(target)
  if (path.length > MAX_PATH_LENGTH) return undefined
  const post = pattern(path, queryOf(target))
  return post === undefined || post.slug === '' ? undefined : post
}

function byPath(slugOf: (path: string) => string | undefined): PostPattern {
  return (path) => {
    const slug = slugOf(path)
    return slug === undefined ? undefined : { slug, path, query: '' }
  }
}

const byLastSegment = byPath((path) => {
  let end = path.endsWith('/index.html') ? path.length - 'index.html'.length : path.length
  while (path[end - 1] === '/') end--
  const segment = path.slice(path.lastIndexOf('/', end - 1) + 1, end)
  return segment.endsWith('.html') ? segment.slice(0, -'.html'.length) : segment
})
