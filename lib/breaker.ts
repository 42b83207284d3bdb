import type { Clock } from './clock.ts'
import { withinDeadline } from './deadline.ts'

interface BreakerOptions {
  clock: Clock
  /** How long an answer may take before the store counts as out of reach. */
  deadlineMs: number
  /** For how long it is not asked again then. */
  retryAfterMs: number
  /** Whether it is asked then behind the scenes (default), or by whoever comes next: where nothing runs behind the scenes. */
  backgroundWork?: boolean | undefined
  /** A question that tells whether the store is back. */
  probe: () => Promise<unknown>
  /** Told of each answer, with the breaker closed. */
  onAnswer: () => void
  /** Called when the store goes out of reach, with the error that says so. */
  onOpen: (error: unknown) => void
  /** Called when it is back. */
  onClose: () => void
}

/** The way to a store that may go away. */
export interface Breaker {
  isOpen(): boolean
  /** Asks the store; rejects at once while it is known to be out of reach: see `backgroundWork`. */
  runIfClosed<T>(work: () => Promise<T>): Promise<T>
  /** Asks the store in any case. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** The connection is back: ask again at once. */
  probeNow(): void
}

/**
 * A circuit breaker. Only who notices first that the store is away waits, for `deadlineMs`; its half-open state asks
 * behind the scenes, `retryAfterMs` later, whether the store is back.
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { clock, deadlineMs, retryAfterMs, backgroundWork = true } = options
  let isOpen = false
  let retryAtMs = 0
  let isProbing = false
  let lastAnsweredMs = Number.NEGATIVE_INFINITY

  async function runIfClosed<T>(work: () => Promise<T>): Promise<T> {
    if (!isOpen) return run(work)
    if (clock.now() >= retryAtMs) {
      if (!backgroundWork) return run(work)
      probe()
    }
    throw new Error('the shared store is out of reach')
  }

  function probe(): void {
    if (isProbing) return
    isProbing = true
    const end = () => {
      isProbing = false
    }
    // What its answer means has been noted where it came.
    run(options.probe).then(end, end)
  }

  async function run<T>(work: () => Promise<T>): Promise<T> {
    const askedAtMs = clock.now()
    try {
      const answer = await withinDeadline(clock, deadlineMs, work())
      if (isOpen) options.onClose()
      isOpen = false
      lastAnsweredMs = Math.max(lastAnsweredMs, askedAtMs)
      options.onAnswer()
      return answer
    } catch (error) {
      // What was lost with an old connection says nothing of the store that has answered a later question.
      if (askedAtMs < lastAnsweredMs) throw error
      if (!isOpen) options.onOpen(error)
      isOpen = true
      retryAtMs = clock.now() + retryAfterMs
      throw error
    }
  }

  return {
    isOpen: () => isOpen,
    runIfClosed,
    run,
    probeNow() {
      if (isOpen) probe()
    },
  }
}
