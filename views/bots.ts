import { isbot } from 'isbot'
import { copyOf } from './strangers-text.ts'

/** How many user agents are remembered before all are forgotten. */
const ROOM = 10_000

/**
 * Whether a user agent is a bot's; an empty one is. isbot takes 5 to 20 µs, and few user agents make most requests: so
 * answers are remembered.
 * @returns a function of a user agent that was shortened (see `strangers-text.ts`): so what is remembered takes 5 MB at most.
 */
export function createBotMemory(): (userAgent: string) => boolean {
  const known = new Map<string, boolean>()
  return (userAgent) => {
    const before = known.get(userAgent)
    if (before !== undefined) return before
    if (known.size >= ROOM) known.clear()
    const answer = userAgent === '' || isbot(userAgent)
    known.set(copyOf(userAgent), answer)
    return answer
  }
}
