import { html } from 'ghtml'

/** The windows that a page can show, the shortest first; 0 days: all time. Daily counters are stored for 400 days. */
const NAMES = { 1: '24 hours', 7: '7 days', 30: '30 days', 365: '365 days', 0: 'All time' } as const

/** The days of a window. */
export type Days = keyof typeof NAMES

const WINDOWS: readonly Days[] = [1, 7, 30, 365, 0]

/**
 * The windows that pages show, the shortest first: those that readers may request. The default window is always one of them.
 * @param allowed `undefined`: readers may request any.
 */
export function windowsOf(allowed: readonly number[] | undefined): readonly Days[] {
  return WINDOWS.filter((days) => allowed?.includes(days) !== false)
}

/** `of the last 7 days` or `of all time`; `preposition` replaces the first `of`. */
export function describeWindow(days: Days, preposition = 'of'): string {
  return days === 0 ? 'of all time' : `${preposition} the last ${NAMES[days]}`
}

/** Links to the same page with another window. */
export function windowSwitch(windows: readonly Days[], days: Days, page: number, category?: string): string {
  const links = windows.map((other) => {
    const filter = category === undefined ? '' : `category=${encodeURIComponent(category)}&`
    const query = `?${filter}${page === 1 ? '' : `page=${page}&`}days=${other}`
    return other === days
      ? html`<a href="${query}" aria-current="true">${NAMES[other]}</a>`
      : html`<a href="${query}">${NAMES[other]}</a>`
  })
  return html`<nav class="windows" aria-label="Most read in">!${links}</nav>`
}
