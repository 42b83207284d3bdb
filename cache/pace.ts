import type { Clock } from '../lib/clock.ts'
import { PACE } from './protocol.ts'
import type { InvalidateMode } from './store.ts'

/**
 * The pace of changes in a store in memory: when a change of the data last ended a generation, how many generations have
 * ended, and how long loads take. The store on Redis keeps the same in a hash (`lua/invalidate.lua`).
 */
export function createPace(clock: Clock) {
  /** Generations that ended; `soft` counts all of them, because a hard end is also a soft one. */
  const ends = { hard: 0, soft: 0 }
  const endedAtMs = { hard: Number.NEGATIVE_INFINITY, soft: Number.NEGATIVE_INFINITY }
  let slowest = { ms: 0, untilMs: Number.NEGATIVE_INFINITY }

  const slowestMs = () => (slowest.untilMs > clock.now() ? slowest.ms : 0)

  return {
    /** A load has ended. A load that takes less than half as long as the slowest one says nothing about that one. */
    loaded(ms: number): void {
      const knownMs = slowestMs()
      if (2 * ms >= knownMs) slowest = { ms: Math.max(ms, knownMs), untilMs: clock.now() + PACE.knownMs }
    },
    /** A generation has ended. @param isByChange whether a change ended it: then a pause begins. */
    ended(mode: InvalidateMode, isByChange: boolean): void {
      for (const each of mode === 'hard' ? (['hard', 'soft'] as const) : (['soft'] as const)) {
        ends[each] += 1
        if (isByChange) endedAtMs[each] = clock.now()
      }
    },
    ends: (mode: InvalidateMode): number => ends[mode],
    /** How long the pause after the last change of this mode still lasts (ms). */
    leftMs(mode: InvalidateMode): number {
      const pauseMs = Math.min(Math.max(PACE.shortestMs[mode], PACE.loads * slowestMs()), PACE.longestMs)
      return Math.max(0, endedAtMs[mode] + Math.ceil(pauseMs) - clock.now())
    },
  }
}
