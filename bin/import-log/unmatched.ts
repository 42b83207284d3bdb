import type { LoggedRequest } from './formats/request.ts'
import { pathOf } from './paths.ts'
import { postsInFolder } from './posts-in-folder.ts'

/** The most paths that are counted: the memory for them does not grow with the log. */
const MAX_PATHS = 20_000
/** The most folders that are tried. */
const MAX_FOLDERS = 20
const FILE = /\.(?!html?$)[a-z\d]{1,5}$/i

/** Requests for pages, for the advice about `--post`. */
export interface Pages {
  add(request: LoggedRequest, isVisit: boolean): void
  /** The ten most requested paths that are no posts. */
  topUnmatched(): { path: string; requests: number }[]
  /** The folder whose posts have the most requests; `undefined`: no request was for a post of a folder. */
  suggestedFolder(): string | undefined
}

export function createPages(): Pages {
  const pages = new Map<string, { requests: number; isVisit: boolean }>()
  return {
    add({ method, status, target }, isVisit) {
      const path = pathOf(target)
      if (method !== 'GET' || (status !== 200 && status !== 304) || FILE.test(path)) return
      const page = pages.get(path)
      if (page !== undefined) page.requests++
      else if (pages.size < MAX_PATHS) pages.set(path, { requests: 1, isVisit })
    },
    topUnmatched: () =>
      [...pages]
        .filter(([, { isVisit }]) => !isVisit)
        .map(([path, { requests }]) => ({ path, requests }))
        .sort((a, b) => b.requests - a.requests || (a.path < b.path ? -1 : 1))
        .slice(0, 10),
    suggestedFolder() {
      const folders = new Map<string, number>()
      for (const [path, { requests }] of pages) {
        const [first, second] = path.split('/').filter((segment) => segment !== '')
        if (first !== undefined && second !== undefined)
          folders.set(`/${first}/`, (folders.get(`/${first}/`) ?? 0) + requests)
      }
      const largest = [...folders].sort(([, a], [, b]) => b - a).slice(0, MAX_FOLDERS)
      let most = 0
      let suggested: string | undefined
      for (const folder of [...largest.map(([folder]) => folder), '/']) {
        const slugOf = postsInFolder(folder)
        let requests = 0
        for (const [path, page] of pages) if (slugOf(path) !== undefined) requests += page.requests
        if (requests <= most) continue
        most = requests
        suggested = folder
      }
      return suggested
    },
  }
}
