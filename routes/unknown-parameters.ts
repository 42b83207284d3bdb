import { createAllowance } from '../lib/allowance.ts'
import type { Logger } from '../lib/logger.ts'

/**
 * The most unknown parameters of a request, and of a second, that are compared, and their longest name: an address may have
 * thousands, and to compare one takes as long as half a hit.
 */
const MOST = { parameters: 20, inSecond: 100, length: 40 }

/**
 * Creates a function that logs, at debug, a parameter that is ignored and resembles a known one: `limits`, `category[]`, `Tag`.
 * A page then shows the default list, and its author does not see why.
 */
export function createHint(known: readonly string[], log: Pick<Logger, 'debug'>): (query: object) => void {
  const names = new Set(known)
  const mayCompare = createAllowance(() => performance.now(), MOST.inSecond)
  return (query) => {
    let left = MOST.parameters
    for (const parameter in query) {
      if (names.has(parameter)) continue
      if (left === 0 || !mayCompare()) return
      left -= 1
      const meant = parameter.length > MOST.length ? undefined : known.find((name) => resembles(parameter, name))
      if (meant !== undefined)
        log.debug(
          { parameter, meant },
          'popular posts: an unknown query parameter is ignored, which resembles a known one',
        )
    }
  }
}

/** Whether a name is another one in other letters, with other signs, in the plural, or with one typing mistake. */
function resembles(parameter: string, name: string): boolean {
  const letters = parameter
    .toLowerCase()
    .replace(/\[.*$/, '')
    .replaceAll(/[^a-z]/g, '')
    .replace(/ies$/, 'y')
  const wanted = name.toLowerCase()
  if (letters === wanted || letters === `${wanted}s`) return true
  // Of three letters, too many words are one letter away.
  return wanted.length > 3 && isOneEdit(letters, wanted)
}

/** Whether one letter is missing, added or replaced, or two neighbours have changed places. */
function isOneEdit(a: string, b: string): boolean {
  let at = 0
  while (a[at] !== undefined && a[at] === b[at]) at += 1
  const rest = (text: string, skip: number) => text.slice(at + skip)
  const isSwapped = a[at] === b[at + 1] && a[at + 1] === b[at] && rest(a, 2) === rest(b, 2)
  return isSwapped || rest(a, 1) === rest(b, 1) || rest(a, 1) === rest(b, 0) || rest(a, 0) === rest(b, 1)
}
