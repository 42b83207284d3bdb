import type { CachePolicy } from '../../cache/options.ts'

/** The settings of caches in tests with a virtual clock. */
export const policy: CachePolicy = {
  ttlMs: 10_000,
  staleMs: 20_000,
  failSafeMs: 100_000,
  leaseMs: 3_000,
  loadTimeoutMs: 30_000,
  waitTimeoutMs: 60_000,
  unreadMs: 2_000,
  loads: { max: 3, maxWaiting: 2, patienceMs: 1_000 },
  coolDown: { firstMs: 500, maxMs: 5_000 },
  poll: { firstMs: 25, longestMs: 250 },
}
