import { html } from 'ghtml'
import type { ErrorPage, ReplyError } from '../../routes/errors.ts'
import { type Frame, layout } from './layout.ts'
import type { Blog } from './page-data.ts'
import { PAGE_HEADERS } from './page-headers.ts'

const TITLES: Record<number, string> = { 404: 'No such page', 503: 'Not right now' }

/** The error page for browsers. It runs no query, because the database may be the cause. */
export function errorPage(
  { statusCode, message }: ReplyError,
  { frame, blog }: { frame: Frame; blog: Blog },
): ErrorPage {
  const title = TITLES[statusCode] ?? (statusCode >= 500 ? 'Something went wrong' : 'This cannot be shown')
  const main = html`<h1>${title}</h1><p>${message}</p><p><a href="/">To the latest posts</a></p>`
  return { headers: PAGE_HEADERS, html: layout({ frame, blog, title, main }) }
}
