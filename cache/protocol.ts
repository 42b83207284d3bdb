import type { CachePolicy } from './options.ts'

/** The part of a policy that is the same for every cache: no option sets it. */
export type ProtocolConstants = Pick<CachePolicy, 'leaseMs' | 'poll' | 'coolDown' | 'unreadMs' | 'loads'>

/** The constants of the protocol, with their reasons. */
export const PROTOCOL: ProtocolConstants = {
  /**
   * A lease ends this long after the last renewal. A living holder renews it each third (1 s), so one lost renewal does
   * not end it. A holder that died blocks the other processes for this time, so it is short.
   */
  leaseMs: 3_000,
  /**
   * A waiter asks the store again after 25, 50, 100, 200, then every 250 ms (with jitter), unless a message about the
   * commit ends the wait. The first wait fits a fast query; the longest bounds the load on Redis to four requests a
   * second per process and entry, and the time until a waiter takes over the lease of a dead holder (3 s + 250 ms).
   */
  poll: { firstMs: 25, longestMs: 250 },
  /**
   * After a failed load no process loads the entry: for 0.5 s, then twice as long after each further failure. A broken
   * database gets one query per cool-down from the whole fleet; 5 s at most, so that the entry recovers soon after the
   * database does.
   */
  coolDown: { firstMs: 500, maxMs: 5_000 },
  /**
   * An entry of rank 1 or 2 that was read once is kept for 2 minutes: a client can request any number of such entries,
   * and may never be read again. The second read keeps the entry for its whole time.
   */
  unreadMs: 120_000,
  /**
   * A process runs four loads at once: more of them would not end sooner, and would take the database from other
   * queries. A load waits for a slot for one second: within that a blog loads its lists after an invalidation. The
   * queue of each rank is bounded.
   */
  loads: { max: 4, maxWaiting: 100, patienceMs: 1_000 },
}

/**
 * How often a load is repeated when an invalidation overtook it. Three loads in a row that are overtaken mean that
 * invalidations come faster than loads end: more repetitions would not help.
 */
export const MAX_RELOADS = 2

/**
 * For how long a store remembers the cause of an invalidation: all processes of a fleet receive a change sooner than
 * that.
 */
export const CAUSE_KNOWN_MS = 60_000

/**
 * The pace at which changes of the data end generations, of all processes together.
 *
 * `loads`: a pause is as long as 2.5 of the slowest load of late. A load that one change overtakes is repeated at once, and
 * ends before the next change: a reader waits for two loads at most, and a new list is fresh for a while. The half is a
 * margin. `shortestMs`: a copy in a process may be one second old anyway; a soft change refreshes lists, which costs loads.
 * `longestMs`: however slow loads are, a change is applied by then. `knownMs`: one load that was slow by chance counts for
 * so long.
 */
export const PACE = { shortestMs: { hard: 1_000, soft: 5_000 }, longestMs: 30_000, loads: 2.5, knownMs: 120_000 }

/**
 * How many invalidations of single entries a store remembers. One more makes it forget them, and loads that run at that
 * moment are repeated. So 10,000 entries that are invalidated one by one repeat such loads twice.
 */
export const MAX_EPOCHS = 4096

/**
 * The most bytes of the entries of rank 1 and 2 that all processes have in Redis, with what Redis takes for them: 4,000 lists
 * of 50 posts. Without a bound a client that requests each of them twice would fill any Redis.
 */
export const MAX_BOUNDED_BYTES = 128 * 2 ** 20

/** The time to live of an entry varies by ±10 %, so that entries that were loaded together do not expire together. */
export const TTL_JITTER = 0.1

/** A slot is given back after a day at the latest: Node.js fires timers of 25 days and more at once. */
export const MAX_SLOT_MS = 86_400_000
