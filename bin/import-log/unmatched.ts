import type { LoggedRequest } from './formats/request.ts'
import { pathOf, queryOf } from './paths.ts'
import { postsInFolder } from './posts-in-folder.ts'
import { slugIn, withoutIndex } from './posts-in-query.ts'
import { FOLDER } from './slug.ts'

/** The most paths that are counted: the memory for them does not grow with the log. */
const MAX_PATHS = 20_000
/** The most folders that are tried. */
const MAX_FOLDERS = 20
const FILE = /\.(?!html?$)[a-z\d]{1,5}$/i
const PROGRAM = /\.(?:php|aspx?|jsp|cgi|pl|cfm)$/i
/** What blogs call the parameter that names a post. */
const PARAMETERS = ['p', 'id', 'page_id', 'post', 'post_id', 'postid', 'article', 'article_id', 'entry', 'story']

/** Requests for pages, for the advice about `--post`. */
export interface Pages {
  add(request: LoggedRequest, isVisit: boolean): void
  /** The ten most requested pages that are no posts. A page has the parameter of its query string that may name it. */
  topUnmatched(): { path: string; requests: number }[]
  /** The value of `--post` whose posts have the most requests; `undefined`: no request seems to be for a post. */
  suggestedPost(): string | undefined
}

interface Page {
  path: string
  /** The value of `--post` for the posts that the same parameter names, such as `/?p=`. */
  place: string | undefined
  requests: number
  isVisit: boolean
}

export function createPages(): Pages {
  const pages = new Map<string, Page>()
  return {
    add({ method, status, target }, isVisit) {
      const path = pathOf(target)
      if (method !== 'GET' || (status !== 200 && status !== 304)) return
      const named = nameIn(path, queryOf(target))
      if (FILE.test(path) && named === undefined) return
      const key = named === undefined ? path : `${named.place}${named.value}`
      const page = pages.get(key)
      if (page !== undefined) page.requests++
      else if (pages.size < MAX_PATHS) pages.set(key, { path, place: named?.place, requests: 1, isVisit })
    },
    topUnmatched: () =>
      [...pages]
        .filter(([, { isVisit }]) => !isVisit)
        .map(([path, { requests }]) => ({ path, requests }))
        .sort((a, b) => b.requests - a.requests || (a.path < b.path ? -1 : 1))
        .slice(0, 10),
    suggestedPost() {
      const all = [...pages.values()]
      const named = mostRequested(all, ({ place }) => place)
      const folders = mostRequested(all, folderOf).slice(0, MAX_FOLDERS)
      // One page is no list of posts: its parameter says something else.
      const suggestions = named.filter(({ pages }) => pages > 1)
      for (const folder of [...folders.map(({ name }) => name), '/']) {
        const slugOf = postsInFolder(folder)
        const posts = all.filter(({ path }) => slugOf(path) !== undefined)
        suggestions.push({ name: folder, pages: posts.length, requests: requestsOf(posts) })
      }
      const [best] = suggestions.filter(({ requests }) => requests > 0).sort((a, b) => b.requests - a.requests)
      return best?.name
    },
  }
}

/** The first parameter that may name a post. */
function nameIn(path: string, query: string): { place: string; value: string } | undefined {
  if (query === '' || !FOLDER.test(path) || (FILE.test(path) && !PROGRAM.test(path))) return undefined
  const parameters = new URLSearchParams(query)
  for (const name of PARAMETERS) {
    const value = slugIn(parameters, name)
    if (value !== '') return { place: `${withoutIndex(path)}?${name}=`, value }
  }
  return undefined
}

function folderOf({ path }: Page): string | undefined {
  const [first, second] = path.split('/').filter((segment) => segment !== '')
  return first === undefined || second === undefined || !FOLDER.test(first) ? undefined : `/${first}/`
}

/** The names of pages with the requests for them, the most requested first. */
function mostRequested(pages: readonly Page[], nameOf: (page: Page) => string | undefined) {
  const groups = new Map<string, Page[]>()
  for (const page of pages) {
    const name = nameOf(page)
    if (name === undefined) continue
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [page])
    else group.push(page)
  }
  return [...groups]
    .map(([name, group]) => ({ name, pages: group.length, requests: requestsOf(group) }))
    .sort((a, b) => b.requests - a.requests)
}

function requestsOf(pages: readonly Page[]): number {
  return pages.reduce((sum, { requests }) => sum + requests, 0)
}
