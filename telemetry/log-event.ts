import type { CacheEvent } from '../cache/events.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'

/** Logs an event of the cache: reads at debug, loads and invalidations at info, failures at warn. */
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
    case 'wait-timeout': {
      const { isFirst, ...rest } = event
      if (isFirst) log.warn(inWholeMs(rest), 'popular posts: wait-timeout')
      return
    }
    case 'store-refused': {
      const { error, isFirst } = event
      if (isFirst) log.warn({ err: loggedError(error) }, 'popular posts: store-refused')
      return
    }
    case 'store-evicted': {
      const { keys, isFirst } = event
      if (isFirst) log.warn({ keys }, 'popular posts: store-evicted')
      return
    }
    case 'load-failed':
    case 'store-down':
    case 'store-still-down':
    case 'background-failed': {
      const { error, ...rest } = event
      log.warn({ ...inWholeMs(rest), err: loggedError(error) }, `popular posts: ${event.type}`)
    }
  }
}

function inWholeMs(details: object): object {
  return 'durationMs' in details ? { ...details, durationMs: Math.round(Number(details.durationMs)) } : details
}
