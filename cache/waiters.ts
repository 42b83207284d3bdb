import type { Clock } from '../lib/clock.ts'

/** Those in this process who wait for an entry that another process is loading. */
export interface KeyedWait {
  /** Waits for `ms`, or until the entry is said to be done. */
  wait(key: string, ms: number): Promise<void>
  /** The entry is done: nobody waits for it any longer. */
  notify(key: string): void
}

export function createKeyedWait(clock: Clock): KeyedWait {
  const waiting = new Map<string, Set<() => void>>()

  return {
    wait(key, ms) {
      const others = waiting.get(key) ?? new Set()
      waiting.set(key, others)
      return new Promise((resolve) => {
        const goOn = () => {
          cancel()
          others.delete(goOn)
          if (others.size === 0) waiting.delete(key)
          resolve()
        }
        const cancel = clock.schedule(ms, goOn)
        others.add(goOn)
      })
    },
    notify(key) {
      for (const goOn of waiting.get(key) ?? []) goOn()
    },
  }
}
