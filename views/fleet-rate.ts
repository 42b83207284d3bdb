import { LRUCache } from 'lru-cache'
import { networkOf } from '../lib/address.ts'
import { detachedCopy } from './client-text.ts'

/** The window in which the views of a client are counted (ms). It begins with the first view. */
export const RATE_WINDOW_MS = 60_000

/** The most clients that a process refuses; those that it has not heard of for longest are forgotten. */
const MAX_REFUSED = 10_000

/** How the views of a client are limited in the buffer. */
export interface ClientRate {
  /** The most views in a window. */
  max: number
  /** Called for a view beyond them, with the time until the window ends (ms). */
  onExceeded(leftMs: number): void
}

/** The limit of views of one client to all processes together. */
export interface FleetRate {
  /** Returns the limit for a view; `undefined`: there is none. */
  of(ip: string): ClientRate | undefined
  /** Returns for how long this process refuses the views of a client (ms); 0: it does not. */
  refusedForMs(ip: string): number
}

/**
 * Creates the limit of views of one client (an address; of IPv6, the /64) to all processes together. The buffer counts them with the
 * command that adds a view, so the limit costs no round trip, and no view beyond it counts. A process hears of it with that
 * command's reply, and refuses the client from then on.
 * @param max the most views in a window; 0: there is no limit.
 */
export function createFleetRate(max: number): FleetRate {
  /** When the refusal of each client ends, in milliseconds since the epoch: this clock goes on while a process is suspended. */
  const refused = new LRUCache<string, number>({ max: MAX_REFUSED })
  return {
    of(ip) {
      if (max === 0) return undefined
      return {
        max,
        onExceeded: (leftMs) => void refused.set(detachedCopy(networkOf(ip)), Date.now() + leftMs),
      }
    },
    refusedForMs(ip) {
      if (refused.size === 0) return 0
      const leftMs = (refused.get(networkOf(ip)) ?? 0) - Date.now()
      // More than a window is left where the clock went back.
      return leftMs > 0 && leftMs <= RATE_WINDOW_MS ? leftMs : 0
    },
  }
}
