import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import type { Settings } from '../settings/options.ts'
import { keepLateViews } from './late-views.ts'
import { createMemoryViewBuffer } from './memory-view-buffer.ts'
import { createRedisViewBuffer } from './redis-view-buffer.ts'
import type { ViewBuffer } from './view-buffer.ts'

/** The deadline of the commands of Redis that take, read or drop a batch. */
const FLUSH_COMMAND_MS = 5_000

/** The Redis that all processes share. `ask` runs a command with a short deadline, and rejects at once during an outage. */
export interface SharedRedis {
  client: HostRedis
  ask: <T>(work: () => Promise<T>) => Promise<T>
}

interface BuffersOptions {
  /** `undefined`: the buffer is in the memory of this process. */
  redis: SharedRedis | undefined
  settings: Pick<Settings, 'redisPrefix' | 'viewDedupSeconds' | 'backgroundWork'>
  /** See `createRedisViewBuffer`. */
  onUnreadable: () => void
  /** Redis refuses the keys of a shard to this user. */
  onRefused: (error: unknown) => void
  /** See `keepLateViews`. */
  onKept: (error: unknown) => void
  /** See `keepLateViews`. */
  onLost: (views: number) => void
}

/** The buffer, whose commands fail fast for requests, and have a longer deadline for flushes. */
export interface Buffers {
  buffer: ViewBuffer
  /** Call after the last flush: views that Redis did not take are lost. */
  endKeeping: () => void
}

/** Creates the buffer of views: in Redis, or in the memory of this process. */
export function createBuffers({ redis, settings, onUnreadable, onRefused, onKept, onLost }: BuffersOptions): Buffers {
  const { redisPrefix: prefix, backgroundWork, viewDedupSeconds: dedupSeconds } = settings
  if (redis === undefined) {
    return { buffer: createMemoryViewBuffer({ dedupSeconds }), endKeeping() {} }
  }
  const { client, ask } = redis
  const askFlush = <T>(work: () => Promise<T>) => withinDeadline(systemClock, FLUSH_COMMAND_MS, work())
  const inRedis = createRedisViewBuffer({ client, ask, askFlush, prefix, dedupSeconds, onUnreadable, onRefused })
  const direct = createRedisViewBuffer({ client, ask: askFlush, prefix, dedupSeconds })
  const kept = keepLateViews({
    buffer: inRedis,
    addAgain: direct.add,
    dedupSeconds,
    now: Date.now,
    onKept,
    onLost,
  })
  // A process without background work may be ended at any time, without a last flush.
  return { buffer: backgroundWork ? kept : inRedis, endKeeping: kept.end }
}
