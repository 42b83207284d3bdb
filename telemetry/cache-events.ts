import { channel } from 'node:diagnostics_channel'
import { type CacheCounts, type CacheEvent, createCounts } from '../cache/events.ts'
import type { Logger } from '../lib/logger.ts'
import { logEvent } from './log-event.ts'

/** The diagnostics channel for every `CacheEvent` of the process. */
const events = channel('fastify-popular-posts')

/** Distributes the events of one cache to the counts, the log, the observers and the diagnostics channel. */
export interface CacheEvents {
  /** Counts an event, logs it, and passes it to the observers and to the diagnostics channel. */
  emit(event: CacheEvent): void
  /** Returns the counts since the creation. */
  counts(): CacheCounts
  /** Adds an observer of all later events. Reads call it, so it must be fast, and must not throw. */
  observe(observer: (event: CacheEvent) => void): void
}

/** Creates the distribution of the events of one cache. */
export function createCacheEvents(log: Logger): CacheEvents {
  const counts = createCounts()
  const observers: ((event: CacheEvent) => void)[] = []
  return {
    emit(event) {
      counts.count(event)
      logEvent(log, event)
      for (const observer of observers) observer(event)
      if (events.hasSubscribers) events.publish(event)
    },
    counts: counts.read,
    observe: (observer) => void observers.push(observer),
  }
}
