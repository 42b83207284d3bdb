import { median, p99 } from '../rounds.ts'
import type { TimedReply } from './steady-load.ts'

/** The start and the end of a query of a list, as of `Date.now()`. */
export interface Query {
  startedAtMs: number
  endedAtMs: number
}

export interface Expiries {
  count: number
  /** The p99 latency of all requests. */
  p99Ms: number
  /** Queries of an expiry, median over the expiries. */
  queries: number
  /** The slowest reply at each expiry, and in an equally long time before it without an expiry. */
  worst: { at: number[]; between: number[] }
}

/** Queries within this time belong to one expiry, because processes do not notice an expiry at the same moment. */
const SAME_MS = 1_000
/** An expiry begins this long before its first query: the request that starts the query was due a little earlier. */
const BEFORE_MS = 50
/** An expiry ends this long after its last query. */
const AFTER_MS = 500

/**
 * Measures the effect of the expiries of a list on a steady load. An expiry that the load does not cover completely is
 * left out.
 */
export function findExpiries(replies: readonly TimedReply[], queries: readonly Query[]): Expiries {
  const dueAtMs = replies.map((reply) => reply.dueAtMs)
  const [fromMs, toMs] = [Math.min(...dueAtMs), Math.max(...dueAtMs)]
  const groups: Query[][] = []
  for (const query of [...queries].sort((a, b) => a.startedAtMs - b.startedAtMs)) {
    const last = groups.at(-1)
    if (last !== undefined && query.startedAtMs - (last.at(-1)?.startedAtMs ?? 0) < SAME_MS) last.push(query)
    else groups.push([query])
  }
  const windows = groups.map((group) => ({
    queries: group.length,
    startsAtMs: Math.min(...group.map(({ startedAtMs }) => startedAtMs)) - BEFORE_MS,
    endsAtMs: Math.max(...group.map(({ endedAtMs }) => endedAtMs)) + AFTER_MS,
  }))
  const worstIn = (startsAtMs: number, endsAtMs: number) =>
    Math.max(
      ...replies.filter(({ dueAtMs }) => dueAtMs >= startsAtMs && dueAtMs < endsAtMs).map((reply) => reply.latencyMs),
    )
  const complete = windows.filter(({ startsAtMs, endsAtMs }) => startsAtMs >= fromMs && endsAtMs <= toMs)
  const worst = { at: [] as number[], between: [] as number[] }
  for (const { startsAtMs, endsAtMs } of complete) {
    worst.at.push(worstIn(startsAtMs, endsAtMs))
    const [controlStartsAtMs, controlEndsAtMs] = [startsAtMs - (endsAtMs - startsAtMs), startsAtMs]
    const isQuiet = windows.every((other) => other.endsAtMs <= controlStartsAtMs || other.startsAtMs >= controlEndsAtMs)
    if (isQuiet && controlStartsAtMs >= fromMs) worst.between.push(worstIn(controlStartsAtMs, controlEndsAtMs))
  }
  return {
    count: complete.length,
    p99Ms: p99(replies.map(({ latencyMs }) => latencyMs)),
    queries: median(complete.map(({ queries }) => queries)),
    worst,
  }
}
