import type { CachePolicy } from '../cache/options.ts'
import type { Settings } from '../settings/options.ts'

/** The most concurrent loads of a process. More would not end sooner, and would slow down other queries. */
export const MAX_LOADS = 4

/** The policy of the cache: the times of the settings, and the constants of leases, polls and cool-downs. */
export function policyOf({ ttlSeconds, staleSeconds, failSafeSeconds, loadTimeoutSeconds }: Settings): CachePolicy {
  return {
    ttlMs: ttlSeconds * 1000,
    staleMs: staleSeconds * 1000,
    failSafeMs: failSafeSeconds * 1000,
    leaseMs: 3_000,
    loadTimeoutMs: loadTimeoutSeconds * 1000,
    unreadMs: 120_000,
    loads: { max: MAX_LOADS, maxWaiting: 100, patienceMs: 1_000 },
    coolDown: { firstMs: 500, maxMs: 5_000 },
    poll: { firstMs: 25, longestMs: 250 },
  }
}
