import type { Clock } from '../lib/clock.ts'

/** Bounds how long readers wait. */
export interface Patience {
  /** Resolves like `work`; with `undefined` after `ms`, or at `end()`. The work goes on. */
  atMost<T extends object>(ms: number, work: Promise<T>): Promise<T | undefined>
  /** Ends all waits: the process closes. */
  end(): void
}

export function createPatience(clock: Clock): Patience {
  const waiting = new Set<() => void>()
  return {
    async atMost(ms, work) {
      let giveUp!: () => void
      const tooLate = new Promise<undefined>((resolve) => {
        giveUp = () => resolve(undefined)
      })
      const cancel = clock.schedule(Math.max(0, ms), giveUp)
      waiting.add(giveUp)
      try {
        return await Promise.race([work, tooLate])
      } finally {
        cancel()
        waiting.delete(giveUp)
      }
    },
    end() {
      for (const giveUp of waiting) giveUp()
    },
  }
}
