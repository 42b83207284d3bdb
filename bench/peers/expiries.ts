import { median, p99 } from '../rounds.ts'
import type { Asked } from './steady-load.ts'

/** A query of a list: from when to when it ran, as of `Date.now()`. */
export interface Query {
  startedAtMs: number
  endedAtMs: number
}

export interface Expiries {
  count: number
  /** Of the whole load. */
  p99Ms: number
  /** Median over the expiries. */
  queries: number
  /** The slowest answer around each expiry, and in as long a time before it that has none. */
  worst: { at: number[]; between: number[] }
}

/** Queries that begin so soon after another are of the same expiry: processes do not find out at the same moment. */
const SAME_MS = 1_000
/**
 * Whoever finds that the list has expired has been waiting for a moment; this long before a query its expiry begins.
 */
const BEFORE_MS = 50
/** And this long after the last one has ended it is over. */
const AFTER_MS = 500

/**
 * What the expiries of a list did to the answers of a steady load. The first and the last one count only if all of it
 * was seen.
 */
export function findExpiries(asked: readonly Asked[], queries: readonly Query[]): Expiries {
  const dueAtMs = asked.map((answer) => answer.dueAtMs)
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
    Math.max(...asked.filter(({ dueAtMs }) => dueAtMs >= startsAtMs && dueAtMs < endsAtMs).map((a) => a.latencyMs))
  const seen = windows.filter(({ startsAtMs, endsAtMs }) => startsAtMs >= fromMs && endsAtMs <= toMs)
  const worst = { at: [] as number[], between: [] as number[] }
  for (const { startsAtMs, endsAtMs } of seen) {
    worst.at.push(worstIn(startsAtMs, endsAtMs))
    const [controlStartsAtMs, controlEndsAtMs] = [startsAtMs - (endsAtMs - startsAtMs), startsAtMs]
    const isQuiet = windows.every((other) => other.endsAtMs <= controlStartsAtMs || other.startsAtMs >= controlEndsAtMs)
    if (isQuiet && controlStartsAtMs >= fromMs) worst.between.push(worstIn(controlStartsAtMs, controlEndsAtMs))
  }
  return {
    count: seen.length,
    p99Ms: p99(asked.map(({ latencyMs }) => latencyMs)),
    queries: median(seen.map(({ queries }) => queries)),
    worst,
  }
}
