import type { Clock } from './clock.ts'
import { withinDeadline } from './deadline.ts'

interface BreakerOptions {
  clock: Clock
  /** A command that takes longer has failed, and the breaker opens. */
  deadlineMs: number
  /** How long an open breaker waits until it probes the store. */
  retryAfterMs: number
  /**
   * Half-open probing: in the background (default), or by the next command, in a process without background work.
   */
  backgroundWork?: boolean | undefined
  /** A command that resolves when the store replies. */
  probe: () => Promise<unknown>
  /** Whether an error means that the store is out of reach. Default: each error does. */
  isOutage?: ((error: unknown) => boolean) | undefined
  /** Called with an error that is no outage. */
  onRefused?: ((error: unknown) => void) | undefined
  /** Called after each reply; the breaker is closed then. */
  onReply: () => void
  /** Called when the breaker opens, with the error of the command. */
  onOpen: (error: unknown) => void
  /** Called when a command fails while the breaker is open. */
  onStillOpen?: ((error: unknown) => void) | undefined
  /** Returns the error by which a command has failed, where its own error is only a consequence. Default: its own. */
  causeOf?: ((error: unknown) => unknown) | undefined
  /** Called when an open breaker closes. */
  onClose: () => void
}

/** Sends commands to a store that may be out of reach. */
export interface Breaker {
  /** Whether the store counts as out of reach. */
  isOpen(): boolean
  /** Runs the command; rejects at once while the breaker is open, except for a probe (see `backgroundWork`). */
  runIfClosed<T>(work: () => Promise<T>): Promise<T>
  /** Runs the command in any case. */
  run<T>(work: () => Promise<T>): Promise<T>
  /** Probes the store now if the breaker is open. Call when the connection is back. */
  probeNow(): void
}

/**
 * Creates a circuit breaker. Only the commands that run when the store goes out of reach wait for `deadlineMs`; later
 * ones reject at once. After `retryAfterMs` the breaker is half-open: one probe tells whether the store is back.
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { clock, deadlineMs, retryAfterMs, backgroundWork = true } = options
  const { isOutage = () => true, causeOf = (error) => error } = options
  let isOpen = false
  let retryAtMs = 0
  let isProbing = false
  let lastError: unknown
  let lastSuccessSentAtMs = Number.NEGATIVE_INFINITY

  async function runIfClosed<T>(work: () => Promise<T>): Promise<T> {
    if (!isOpen) return run(work)
    if (clock.now() >= retryAtMs) {
      if (!backgroundWork) return run(work)
      probe()
    }
    throw new Error('Expected the shared store to reply, but it is out of reach.', { cause: lastError })
  }

  function probe(): void {
    if (isProbing) return
    isProbing = true
    const end = () => {
      isProbing = false
    }
    // `run` has opened or closed the breaker.
    run(options.probe).then(end, end)
  }

  async function run<T>(work: () => Promise<T>): Promise<T> {
    const sentAtMs = clock.now()
    try {
      const reply = await withinDeadline(clock, deadlineMs, work())
      onReply(sentAtMs)
      return reply
    } catch (failure) {
      const error = causeOf(failure)
      if (!isOutage(error)) {
        onReply(sentAtMs)
        options.onRefused?.(error)
        throw error
      }
      // Ignore failures of commands sent before the last command that succeeded: they belong to an old connection.
      if (sentAtMs < lastSuccessSentAtMs) throw error
      lastError = error
      if (isOpen) options.onStillOpen?.(error)
      else options.onOpen(error)
      isOpen = true
      retryAtMs = clock.now() + retryAfterMs
      throw error
    }
  }

  function onReply(sentAtMs: number): void {
    if (isOpen) options.onClose()
    isOpen = false
    lastSuccessSentAtMs = Math.max(lastSuccessSentAtMs, sentAtMs)
    options.onReply()
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
