import { isbot } from 'isbot'

/** How many user agents are remembered before all are forgotten. */
const ROOM = 10_000

/**
 * Whether a user agent is a bot's; an empty one is. isbot takes 5 to 20 µs, and few user agents make most requests: so
 * answers are remembered.
 */
export function createBotMemory(): (userAgent: string) => boolean {
  const known = new Map<string, boolean>()
  return (userAgent) => {
    const before = known.get(userAgent)
    if (before !== undefined) return before
    if (known.size >= ROOM) known.clear()
    const answer = userAgent === '' || isbot(userAgent)
    known.set(userAgent, answer)
    return answer
  }
}
