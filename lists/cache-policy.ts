import type { CachePolicy } from '../cache/options.ts'
import { PROTOCOL } from '../cache/protocol.ts'
import type { Settings } from '../settings/options.ts'

/** Returns the policy of the cache: the times of the settings, and the constants of the protocol. */
export function policyOf(settings: Settings): CachePolicy {
  const { ttlSeconds, staleSeconds, failSafeSeconds, loadTimeoutSeconds, waitTimeoutSeconds } = settings
  return {
    ...PROTOCOL,
    ttlMs: ttlSeconds * 1000,
    staleMs: staleSeconds * 1000,
    failSafeMs: failSafeSeconds * 1000,
    loadTimeoutMs: loadTimeoutSeconds * 1000,
    waitTimeoutMs: waitTimeoutSeconds * 1000,
  }
}
