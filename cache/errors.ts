import createError from '@fastify/error'

const LoadFailed = createError<[string]>('PP_LOAD_FAILED', 'Expected the list to load, but %s.', 503)
const Unsettled = createError(
  'PP_UNSETTLED',
  'Expected the list to settle, but it was invalidated each time it had been loaded.',
  503,
)

const TooManyLoads = createError(
  'PP_TOO_MANY_LOADS',
  'Expected the list to load, but too many other lists are being loaded. Try again.',
  503,
)

const Unconfirmed = createError(
  'PP_UNCONFIRMED',
  'Expected Redis to confirm the invalidation, but it could not be asked. Try again.',
  503,
)

/** `PP_LOAD_FAILED`, 503: loading failed now or a moment ago, and there is no older value to serve. */
export class LoadFailedError extends LoadFailed {
  /** When asking again makes sense, in milliseconds. */
  readonly retryAfterMs: number

  /** @param failed its `cause` is what the load threw; left out for callers that came during the cool-down. */
  constructor(retryAfterMs: number, failed?: { cause: unknown }) {
    super(failed === undefined ? 'it failed a moment ago and is not tried again yet' : 'loading it failed')
    this.retryAfterMs = retryAfterMs
    if (failed !== undefined) this.cause = failed.cause
  }
}

/** `PP_UNSETTLED`, 503: three loads in a row were overtaken by a hard invalidation, so none of them may be answered. */
export class UnsettledError extends Unsettled {
  readonly retryAfterMs = 1000
}

/** `PP_TOO_MANY_LOADS`, 503: the load found no slot in time, and there is no older value to serve. Nothing has failed. */
export class TooManyLoadsError extends TooManyLoads {
  readonly retryAfterMs = 1000
}

/** The cause of a `PP_LOAD_FAILED` whose load did not end in time. */
export class LoadTimeoutError extends Error {
  override readonly name = 'LoadTimeoutError'

  constructor(afterMs: number) {
    super(`Expected the load to end within ${afterMs} ms.`)
  }
}

/** `PP_UNCONFIRMED`, 503: Redis did not confirm an invalidation. It may have been made all the same; ask again. */
export class UnconfirmedError extends Unconfirmed {
  readonly retryAfterMs = 1000

  constructor(cause: unknown) {
    super()
    this.cause = cause
  }
}
