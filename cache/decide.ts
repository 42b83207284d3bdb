import type { LoadReason } from './events.ts'
import type { Acquired, StoredValue } from './store.ts'

/** The store's reply to `acquire`, with the time of the request (ms, `clock`). */
export type StoreReply<State = Acquired['state']> = Extract<Acquired, { state: State }> & { requestedAtMs: number }

/** What a decision depends on, beside the reply. */
export interface DecideOptions {
  /** How long after its expiry a value may be served while it is refreshed (ms). */
  staleMs: number
  /** Whether this process runs background tasks. */
  backgroundWork: boolean
}

/** Returns the fresh value. */
type Serve = { action: 'serve'; value: StoredValue }
/** Loads the value with the lease of the reply, then returns it. */
type LoadFirst = { action: 'load'; why: LoadReason; reply: StoreReply<'lease'> }

/** What a read does next. */
export type Decision =
  | Serve
  | LoadFirst
  /** Returns a value that has expired. `isFailSafe`: the last load failed, and the entry cools down. */
  | { action: 'serve-stale'; value: StoredValue; isFailSafe: boolean }
  /** Returns the stale value, and loads a new one in the background. */
  | { action: 'serve-and-refresh'; value: StoredValue; reply: StoreReply<'lease'> }
  /** Waits for the holder of the lease, then asks the store again. */
  | { action: 'wait'; retryAfterMs: number }
  /** Rejects with `PP_LOAD_FAILED`. */
  | { action: 'fail'; retryAfterMs: number }

/** What a refresh does next. */
export type RefreshDecision =
  | Serve
  | LoadFirst
  /** Asks the store again, for a lease instead of the value. */
  | { action: 'force' }
  /** Goes on as a read: another process loads the entry, or the entry cools down. */
  | { action: 'read' }

/**
 * The protocol as a table: from the store's reply, and the age of the value in it, to the next action of a read.
 *
 * A value is `fresh` before its expiry, `stale` for `staleMs` after it, and `kept` from then on, as long as the store
 * has it.
 *
 * | reply   | fresh             | stale             | kept        | no value |
 * | ------- | ----------------- | ----------------- | ----------- | -------- |
 * | hit     | serve             | –                 | –           | –        |
 * | lease   | serve-and-refresh | serve-and-refresh | load        | load     |
 * | wait    | serve-stale       | serve-stale       | wait        | wait     |
 * | cooling | serve-stale       | serve-stale       | serve-stale | fail     |
 *
 * In the row `cooling`, `serve-stale` is a fail-safe. Without background work `load` takes the place of
 * `serve-and-refresh`: the reader that gets the lease waits for the load. The store replies `hit` if the value is
 * fresh, and only then: the other cells of the row `hit` and of the column `fresh` do not occur in a read.
 */
export function decide(reply: StoreReply, { staleMs, backgroundWork }: DecideOptions): Decision {
  if (reply.state === 'hit') return { action: 'serve', value: reply.found }
  const { found } = reply
  const servable = found !== undefined && -found.ttlMs <= staleMs ? found : undefined
  switch (reply.state) {
    case 'lease':
      if (servable === undefined) return { action: 'load', why: 'load', reply }
      return backgroundWork
        ? { action: 'serve-and-refresh', value: servable, reply }
        : { action: 'load', why: 'refresh', reply }
    case 'wait':
      return servable === undefined
        ? { action: 'wait', retryAfterMs: reply.retryAfterMs }
        : { action: 'serve-stale', value: servable, isFailSafe: false }
    case 'cooling':
      return found === undefined
        ? { action: 'fail', retryAfterMs: reply.retryAfterMs }
        : { action: 'serve-stale', value: found, isFailSafe: true }
  }
}

/**
 * The same for a refresh, which loads an entry unless it stays fresh for longer than `withinMs`, or another process
 * loads it.
 *
 * | reply         | action                                                 |
 * | ------------- | ------------------------------------------------------ |
 * | hit           | serve, if the value stays fresh for longer; else force |
 * | lease         | load                                                   |
 * | wait, cooling | read                                                   |
 */
export function decideRefresh(reply: StoreReply, withinMs: number): RefreshDecision {
  switch (reply.state) {
    case 'hit':
      return reply.found.ttlMs > withinMs ? { action: 'serve', value: reply.found } : { action: 'force' }
    case 'lease':
      return { action: 'load', why: 'refresh', reply }
    case 'wait':
    case 'cooling':
      return { action: 'read' }
  }
}
