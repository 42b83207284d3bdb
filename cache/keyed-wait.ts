import type { Clock } from '../lib/clock.ts'

/** Waits for the commits of other processes, by key. */
export interface KeyedWait {
  /** Resolves after `ms`, or at the next `notify(key)`. */
  wait(key: string, ms: number): Promise<void>
  /** Ends all waits for this key. */
  notify(key: string): void
}

export function createKeyedWait(clock: Clock): KeyedWait {
  const waiting = new Map<string, Set<() => void>>()

  return {
    wait(key, ms) {
      const others = waiting.get(key) ?? new Set()
      waiting.set(key, others)
      return new Promise((resolve) => {
        const end = () => {
          cancel()
          others.delete(end)
          if (others.size === 0) waiting.delete(key)
          resolve()
        }
        const cancel = clock.schedule(ms, end)
        others.add(end)
      })
    },
    notify(key) {
      for (const end of waiting.get(key) ?? []) end()
    },
  }
}
