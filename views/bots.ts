import { isbot } from 'isbot'
import { detachedCopy } from './client-text.ts'

/** How many user agents are remembered before all are forgotten. */
const MAX_REMEMBERED = 10_000

/**
 * Whether a user agent is a bot's; an empty one is. isbot takes 5 to 20 µs, and few user agents make most requests: so
 * answers are remembered.
 * @returns a function of a user agent that was shortened (see `strangers-text.ts`): so what is remembered takes 5 MB at most.
 */
export function createBotDetector(): (userAgent: string) => boolean {
  const known = new Map<string, boolean>()
  return (userAgent) => {
    const before = known.get(userAgent)
    if (before !== undefined) return before
    if (known.size >= MAX_REMEMBERED) known.clear()
    const answer = userAgent === '' || isbot(userAgent)
    known.set(detachedCopy(userAgent), answer)
    return answer
  }
}
