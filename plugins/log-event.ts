import type { CacheEvent } from '../cache/events.ts'

/** What we need of a logger. */
export interface Logger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

/** Writes what happens in the cache to the log: what every request does at debug, what costs a query at info, faults at warn. */
export function logEvent(log: Logger, event: CacheEvent): void {
  switch (event.type) {
    case 'hit':
    case 'stale-hit':
    case 'miss':
    case 'fail-safe':
    case 'load-refused':
    case 'wait':
    case 'waited':
      log.debug(event, `popular posts: ${event.type}`)
      return
    case 'loaded':
    case 'takeover':
    case 'invalidated':
    case 'store-up':
      log.info(inWholeMs(event), `popular posts: ${event.type}`)
      return
    case 'load-failed':
    case 'store-down':
    case 'background-failed':
      log.warn({ ...inWholeMs(event), error: nameOf(event.error) }, `popular posts: ${event.type}`)
  }
}

function inWholeMs(event: CacheEvent): object {
  return 'durationMs' in event ? { ...event, durationMs: Math.round(event.durationMs) } : event
}

/** The code or the class of an error: a database's message may name addresses, users and statements. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error ? `${error.name} ${String(error.code)}` : error.name
}
