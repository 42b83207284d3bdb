import createError from '@fastify/error'

const LoadFailed = createError<[string]>('PP_LOAD_FAILED', 'Expected the list to load, but %s.', 503)
const Unsettled = createError(
  'PP_UNSETTLED',
  'Expected the list to load, but it was invalidated during each of three loads. Try again.',
  503,
)

const TooManyLoads = createError(
  'PP_TOO_MANY_LOADS',
  'Expected the list to load, but too many other lists are being loaded. Try again.',
  503,
)

const WaitTimeout = createError(
  'PP_WAIT_TIMEOUT',
  'Expected the list to load in time, but its load takes longer. Try again.',
  503,
)

const Unconfirmed = createError<[string, string]>(
  'PP_UNCONFIRMED',
  'Expected %s to confirm the invalidation, but %s did not reply. Try again.',
  503,
)

/**
 * `PP_LOAD_FAILED`, 503: the load failed, now or before the current cool-down, and there is no older value to serve.
 */
export class LoadFailedError extends LoadFailed {
  /** When the next load may begin (ms). */
  readonly retryAfterMs: number

  /**
   * @param failed `cause` is the error of the load. Default: the caller came during the cool-down, and there is no
   * cause.
   */
  constructor(retryAfterMs: number, failed?: { cause: unknown }) {
    super(failed === undefined ? 'it failed a moment ago, and it is not loaded again yet' : 'loading it failed')
    this.retryAfterMs = retryAfterMs
    if (failed !== undefined) this.cause = failed.cause
  }
}

/** `PP_UNSETTLED`, 503: hard invalidations overtook three loads in a row, so none of their values may be served. */
export class UnsettledError extends Unsettled {
  /** When a retry makes sense (ms). */
  readonly retryAfterMs = 1000
}

/** `PP_TOO_MANY_LOADS`, 503: no slot was free in time, and there is no older value to serve. No load has failed. */
export class TooManyLoadsError extends TooManyLoads {
  /** When a retry makes sense (ms). */
  readonly retryAfterMs = 1000
}

/**
 * `PP_WAIT_TIMEOUT`, 503: the reader has waited for `waitTimeoutSeconds`, and there is no older value to serve. The load
 * goes on, and its value is stored.
 */
export class WaitTimeoutError extends WaitTimeout {
  /** When a retry makes sense (ms). */
  readonly retryAfterMs = 1000
}

/** The `cause` of a `PP_LOAD_FAILED` whose load timed out. */
export class LoadTimeoutError extends Error {
  override readonly name = 'LoadTimeoutError'

  constructor(afterMs: number) {
    super(`Expected the load to end within ${afterMs} ms.`)
  }
}

/**
 * `PP_UNCONFIRMED`, 503: Redis, or without Redis the database, did not confirm an invalidation. It may have been
 * executed or not; the caller can retry.
 */
export class UnconfirmedError extends Unconfirmed {
  /** When a retry makes sense (ms). */
  readonly retryAfterMs = 1000

  constructor(cause: unknown, server: 'Redis' | 'the database' = 'Redis') {
    super(server, server)
    this.cause = cause
  }
}
