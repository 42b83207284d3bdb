import type { Clock } from '../lib/clock.ts'
import { TooManyLoadsError } from './errors.ts'

/**
 * How much an entry matters: 0, what every page shows; 1 and 2, what fewer readers ask for, and a stranger can ask for in any
 * number. A load leaves as many slots free as its rank, so loads of a lower rank never wait for it.
 */
export type Rank = 0 | 1 | 2

export interface LoadSlotsOptions {
  /** How many loads run at once. */
  max: number
  /** How many loads of each rank may wait. */
  maxWaiting: number
  /** How long a load waits. */
  patienceMs: number
  /** A load that has not ended by then gives its slot back all the same. */
  longestMs: number
}

/** Bounds the loads that run at once in a process. */
export function createLoadSlots(clock: Clock, { max, maxWaiting, patienceMs, longestMs }: LoadSlotsOptions) {
  const waiting: Record<Rank, Set<() => void>> = { 0: new Set(), 1: new Set(), 2: new Set() }
  let used = 0

  const isFree = (rank: Rank) => used < max - rank

  function occupy(): () => void {
    used += 1
    let isOccupied = true
    const leave = () => {
      if (!isOccupied) return
      isOccupied = false
      cancel()
      used -= 1
      for (const next of [0, 1, 2] as const) {
        for (const goOn of waiting[next]) if (isFree(next)) goOn()
      }
    }
    const cancel = clock.schedule(longestMs, leave)
    return leave
  }

  /**
   * Takes a slot, at once or when one is free.
   * @returns gives it back.
   * @throws TooManyLoadsError when none was free in time, or too many loads wait already.
   */
  return async function takeSlot(rank: Rank): Promise<() => void> {
    if (isFree(rank)) return occupy()
    const queue = waiting[rank]
    if (queue.size >= maxWaiting) throw new TooManyLoadsError()
    return new Promise((resolve, reject) => {
      const goOn = () => {
        cancel()
        queue.delete(goOn)
        resolve(occupy())
      }
      const cancel = clock.schedule(patienceMs, () => {
        queue.delete(goOn)
        reject(new TooManyLoadsError())
      })
      queue.add(goOn)
    })
  }
}
