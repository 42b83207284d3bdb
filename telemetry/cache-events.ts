import { channel } from 'node:diagnostics_channel'
import { type CacheCounts, type CacheEvent, createCounts } from '../cache/events.ts'
import type { Logger } from '../lib/logger.ts'
import { logEvent } from './log-event.ts'

/** The diagnostics channel on which every `CacheEvent` of the process is published. */
const events = channel('fastify-popular-posts')

/** Receives the events of one cache, and hands each to all who need it. */
export interface CacheEvents {
  /** Counts an event, logs it, and hands it to the observers and to the diagnostics channel. */
  emit(event: CacheEvent): void
  counts(): CacheCounts
  /** Adds an observer of all later events. It is called within a read: it must be quick, and must not throw. */
  observe(observer: (event: CacheEvent) => void): void
}

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
