import type { Clock } from '../lib/clock.ts'
import { TooManyLoadsError } from './errors.ts'

/**
 * The importance of an entry. 0: an entry that every page shows. 1 and 2: entries that fewer readers request, and of
 * which any client can request any number. A load leaves as many slots free as its rank, so loads of a lower rank never
 * wait for it.
 */
export type Rank = 0 | 1 | 2

/** Bounds of the loads in a process. */
export interface LoadSlotsOptions {
  /** How many loads run at once, of all ranks. */
  max: number
  /** How many loads of each rank may wait for a slot. */
  maxWaiting: number
  /** How long a load waits for a slot (ms). */
  patienceMs: number
  /** A slot is given back after this time (ms), even if its load has not ended. */
  longestMs: number
}

/** Creates a function that bounds the loads that run at once in a process. */
export function createLoadSlots(clock: Clock, { max, maxWaiting, patienceMs, longestMs }: LoadSlotsOptions) {
  const waiting: Record<Rank, Set<() => void>> = { 0: new Set(), 1: new Set(), 2: new Set() }
  let used = 0

  const isFree = (rank: Rank) => used < max - rank

  function occupy(): () => void {
    used += 1
    let isOccupied = true
    const free = () => {
      if (!isOccupied) return
      isOccupied = false
      cancel()
      used -= 1
      for (const next of [0, 1, 2] as const) {
        for (const start of waiting[next]) if (isFree(next)) start()
      }
    }
    const cancel = clock.schedule(longestMs, free)
    return free
  }

  /**
   * Takes a slot, at once or when one is free. Lower ranks come first.
   * @returns a function that gives the slot back; further calls do nothing.
   * @throws TooManyLoadsError when no slot was free in time, or too many loads of this rank wait already.
   */
  return async function takeSlot(rank: Rank): Promise<() => void> {
    if (isFree(rank)) return occupy()
    const queue = waiting[rank]
    if (queue.size >= maxWaiting) throw new TooManyLoadsError()
    return new Promise((resolve, reject) => {
      const start = () => {
        cancel()
        queue.delete(start)
        resolve(occupy())
      }
      const cancel = clock.schedule(patienceMs, () => {
        queue.delete(start)
        reject(new TooManyLoadsError())
      })
      queue.add(start)
    })
  }
}
