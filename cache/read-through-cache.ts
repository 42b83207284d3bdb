import { decide, decideRefresh, type StoreReply } from './decide.ts'
import { LoadFailedError, UnsettledError, WaitTimeoutError } from './errors.ts'
import type { LoadReason } from './events.ts'
import { createKeyedWait } from './keyed-wait.ts'
import { createLeaseLoader, type LoadRequest } from './load-with-lease.ts'
import { createNearCache, type FoundCopy } from './near-cache.ts'
import type { Answer, CacheOptions, ReadAnswer, ReadThroughCache } from './options.ts'
import { createPatience } from './patience.ts'
import { MAX_RELOADS } from './protocol.ts'
import { createReporter } from './report.ts'
import { createSingleFlight } from './single-flight.ts'
import type { Applied, Change, InvalidateMode, StoredValue } from './store.ts'
import { createTaskTracker } from './task-tracker.ts'

/*
 * States of a read, and transitions:
 *
 * local      a copy in this process, fresh or put as stale  -> answered
 *            otherwise                                      -> joining
 * joining    a read of this key is in flight                -> answered; joining again, if the result is too old
 *            otherwise                                      -> verifying
 * verifying  a copy, whose generation the store confirms    -> answered
 *            otherwise                                      -> asking
 * asking     `store.acquire`, then the table in `decide.ts`:
 *            serve, serve-stale                             -> answered
 *            serve-and-refresh                              -> answered; loading in the background
 *            load                                           -> loading
 *            wait                                           -> waiting
 *            fail                                           -> PP_LOAD_FAILED
 * (any)      the reader has waited for `waitTimeoutMs`      -> asking once more, where any older value is served;
 *                                                              without one PP_WAIT_TIMEOUT. The load goes on.
 * waiting    the poll time ends, or a commit is published   -> asking
 * loading    `load-with-lease.ts`, which ends the lease:
 *            stored, not-stored                             -> answered
 *            failed, timed-out, refused; with older value   -> answered
 *            failed, timed-out; without                     -> PP_LOAD_FAILED
 *            refused; without                               -> PP_TOO_MANY_LOADS
 *            overtaken, up to MAX_RELOADS times             -> loading with the next lease; without one, verifying
 *            overtaken once more, softly, or not known      -> answered; the value is not stored
 *            overtaken once more, hard                      -> PP_UNSETTLED
 */

/** The result of a read, shared by all readers that have joined it. */
interface ReadResult {
  answer: Answer
  /** The answer reflects every invalidation that was confirmed before this time (ms, `clock`). */
  asOfMs: number
}

/** Creates a cache over a store: the protocol of `store.ts`, as one process runs it. */
export function createReadThroughCache({
  store,
  clock,
  random,
  nonce,
  policy,
  near,
  backgroundWork = true,
  observe,
}: CacheOptions): ReadThroughCache {
  const { generation } = store
  const copies = near && createNearCache({ clock, generation, ...near, backgroundWork })
  const flights = createSingleFlight<ReadResult>(near?.maxStaleMs ?? 0)
  const lastReads = createSingleFlight<ReadResult>(near?.maxStaleMs ?? 0)
  const patience = createPatience(clock)
  const commits = createKeyedWait(clock)
  const tasks = createTaskTracker(observe)
  const report = createReporter(observe, clock)
  const loadWithLease = createLeaseLoader({ store, clock, random, policy, tasks })

  /** A fresh value, or a stale copy that may be served again. Synchronous. */
  function findLocal(key: string): FoundCopy | undefined {
    return copies === undefined ? store.peek?.(key) : copies.find(key)
  }

  function peek(key: string): StoredValue | undefined {
    const found = findLocal(key)
    if (found === undefined || found.ttlMs <= 0) return undefined
    // Not timed: reading the clock would take as long as the rest of a hit.
    report.read(key, 'hit', 0)
    return found
  }

  const read: ReadThroughCache['read'] = async (key, load, rank = 0, sinceMs, times = policy) => {
    const local = findLocal(key)
    if (local !== undefined) return localAnswer(key, local)
    const startedAtMs = clock.now()
    const waitMs = (sinceMs ?? startedAtMs) + policy.waitTimeoutMs - startedAtMs
    const request = { key, load, rank, times }
    // Without background work the read ends its waits itself: its load must end before the reply.
    const flight = flights.joinOrStart(key, startedAtMs, () => readThrough(request, backgroundWork ? Infinity : waitMs))
    const inTime = (backgroundWork ? patience.atMost(waitMs, flight) : flight).then(
      (found) => found ?? readLast(request, flight),
    )
    const { result, hasWaited } = await inTime.catch((error: unknown) => {
      if (error instanceof WaitTimeoutError) report.waitTimeout(key, startedAtMs)
      throw error
    })
    const { answer } = result
    const outcome = hasWaited && answer.outcome === 'loaded' ? 'collapsed' : answer.outcome
    const durationMs = clock.now() - startedAtMs
    report.read(key, outcome, durationMs)
    return { ...answer, outcome, durationMs }
  }

  function localAnswer(key: string, { value, ageMs, ttlMs, isFailSafe = false }: FoundCopy): ReadAnswer {
    const outcome = ttlMs > 0 ? 'hit' : 'stale'
    if (isFailSafe) report.failSafe(key)
    report.read(key, outcome, 0)
    return { value, ageMs, ttlMs, outcome, durationMs: 0 }
  }

  /** The reader has waited for long enough: it gets any older value. The read that it has joined goes on. */
  function readLast(request: LoadRequest, flight: Promise<unknown>) {
    tasks.track(flight)
    return lastReads.joinOrStart(request.key, clock.now(), () => readThrough(request, 0))
  }

  /**
   * The states from `verifying` on.
   * @param waitMs for how long the read may wait for another process; 0: it neither waits nor loads before its answer.
   */
  async function readThrough(request: LoadRequest, waitMs = Infinity): Promise<ReadResult> {
    const { key, times } = request
    if (copies !== undefined) {
      await copies.verify(key)
      const copy = copies.find(key)
      if (copy !== undefined && copy.ttlMs > 0) return { answer: { ...copy, outcome: 'hit' }, asOfMs: clock.now() }
    }
    const startedAtMs = clock.now()
    for (let polls = 0; ; polls += 1) {
      const reply = await acquire(key)
      const isLast = clock.now() - startedAtMs >= waitMs
      const decision = decide(reply, { staleMs: isLast ? Infinity : times.staleMs, backgroundWork })
      if (isLast && decision.action === 'wait') throw new WaitTimeoutError()
      report.decision(key, decision, polls === 0 ? undefined : clock.now() - startedAtMs)
      switch (decision.action) {
        case 'serve': {
          const outcome = polls === 0 ? 'hit' : 'collapsed'
          return { answer: { ...decision.value, outcome }, asOfMs: reply.requestedAtMs }
        }
        case 'serve-stale':
          return staleResult(key, decision.value, reply, decision.isFailSafe)
        case 'serve-and-refresh':
          tasks.track(loadUntilCurrent(request, decision.reply, 'refresh'))
          return staleResult(key, decision.value, reply, false)
        case 'load':
          if (waitMs > 0) return loadUntilCurrent(request, decision.reply, decision.why)
          tasks.track(loadUntilCurrent(request, decision.reply, decision.why))
          throw new WaitTimeoutError()
        case 'fail':
          throw new LoadFailedError(decision.retryAfterMs)
        case 'wait':
          await pause(key, decision.retryAfterMs, polls)
      }
    }
  }

  const refresh: ReadThroughCache['refresh'] = async (key, load, { withinMs = Infinity, rank = 0 } = {}) => {
    const request = { key, load, rank, times: policy }
    let decision = decideRefresh(await acquire(key, { force: withinMs === Infinity }), withinMs)
    if (decision.action === 'force') decision = decideRefresh(await acquire(key, { force: true }), withinMs)
    if (decision.action === 'serve') return { ...decision.value, outcome: 'hit' }
    const result =
      decision.action === 'load' ? loadUntilCurrent(request, decision.reply, 'refresh') : readThrough(request)
    return (await result).answer
  }

  /** The state `loading`: loads with a lease, and again after an invalidation during the load. */
  async function loadUntilCurrent(
    request: LoadRequest,
    first: StoreReply<'lease'>,
    why: LoadReason,
  ): Promise<ReadResult> {
    const { key } = request
    let reply = first
    for (let reloads = 0; ; reloads += 1) {
      const { lease, found } = reply
      const result = await loadWithLease(request, { lease, why, found })
      report.load(key, why, found, result)
      if (result.status === 'refused') {
        // The wait for a slot may have taken longer than a value of this process alone may be served.
        const isOver = lease.isLocal && found !== undefined && found.ttlMs <= clock.now() - reply.requestedAtMs
        if (found === undefined || isOver) throw result.error
        return staleResult(key, found, reply, false)
      }
      if (result.status === 'failed' || result.status === 'timed-out') {
        if (result.found === undefined) throw new LoadFailedError(result.coolDownMs, { cause: result.error })
        return { answer: { ...result.found, outcome: 'stale' }, asOfMs: result.asOfMs }
      }
      const { value, asOfMs } = result
      if (result.isCopyable) putCopy(key, value, lease.generation, result.requestedAtMs)
      if (result.status !== 'overtaken') return { answer: { ...value, outcome: 'loaded' }, asOfMs }
      if (reloads === MAX_RELOADS) {
        if (result.committed === 'outdated-hard') throw new UnsettledError()
        // After a soft invalidation an older value may be served once more. A store that keeps losing its generation is as good
        // as none, and fails no read.
        return { answer: { ...value, ttlMs: 0, outcome: 'loaded' }, asOfMs }
      }
      const next = await acquire(key)
      if (next.state !== 'lease') return readThrough(request)
      reply = next
    }
  }

  async function acquire(key: string, { force = false } = {}): Promise<StoreReply> {
    const requestedAtMs = clock.now()
    const acquired = await store.acquire(key, { token: nonce(), leaseMs: policy.leaseMs, force })
    if (acquired.generation !== undefined) {
      if (acquired.state === 'hit') putCopy(key, acquired.found, acquired.generation, requestedAtMs)
      else copies?.verified(acquired.generation, requestedAtMs)
    }
    return { ...acquired, requestedAtMs }
  }

  function putCopy(key: string, value: StoredValue, ofGeneration: string, requestedAtMs: number): void {
    copies?.put(key, value, ofGeneration, requestedAtMs)
    copies?.verified(ofGeneration, requestedAtMs)
  }

  /** Puts the stale value as a copy for one poll interval, so that later readers do not ask the store. */
  function staleResult(key: string, found: StoredValue, reply: StoreReply, isFailSafe: boolean): ReadResult {
    const forMs = policy.poll.longestMs
    if (reply.generation !== undefined)
      copies?.put(key, found, reply.generation, reply.requestedAtMs, { forMs, isFailSafe })
    return { answer: { ...found, outcome: 'stale' }, asOfMs: reply.requestedAtMs }
  }

  /** The state `waiting`, at most until the lease ends. */
  function pause(key: string, leaseEndsInMs: number, polls: number): Promise<void> {
    const backoffMs = Math.min(policy.poll.firstMs * 2 ** polls, policy.poll.longestMs) * (0.5 + 0.5 * random())
    return commits.wait(key, Math.max(1, Math.min(leaseEndsInMs, backoffMs)))
  }

  function onStoreMessage(message: string): void {
    const [type, key = ''] = message.split(' ', 2)
    if (type === 'invalidated') copies?.markUnverified()
    else copies?.dropStale(key)
    commits.notify(key)
  }

  /*
   * Why the reads in flight and the copies are dropped twice:
   * 1. From here on a reader must not join a load that began before the invalidation.
   * 2. The store ends the generation.
   * 3. A load that began between 1 and 2 may have a lease of the old generation: later readers must not join it either.
   */
  const invalidate: ReadThroughCache['invalidate'] = async (mode, { wait = true, idempotencyKey: cause } = {}) => {
    const startedAtMs = clock.now()
    dropAll()
    const isEnded = await store.invalidate(mode, cause)
    dropAll()
    if (wait && near !== undefined && mode === 'hard') {
      await new Promise<void>((resolve) => clock.schedule(near.maxStaleMs, resolve))
    }
    if (isEnded) report.invalidation(mode, clock.now() - startedAtMs)
  }

  async function invalidateKey(key: string): Promise<void> {
    const startedAtMs = clock.now()
    dropFlights(key)
    await store.invalidateKey(key)
    dropFlights(key)
    report.invalidation('hard', clock.now() - startedAtMs)
  }

  async function invalidateForChange(mode: InvalidateMode, change: Change): Promise<Applied> {
    const startedAtMs = clock.now()
    const applied = await store.invalidateForChange(mode, change)
    if (applied.state !== 'paced') dropAll()
    if (applied.state === 'ended') report.invalidation(mode, clock.now() - startedAtMs)
    return applied
  }

  function dropFlights(key?: string): void {
    flights.clear(key)
    lastReads.clear(key)
  }

  function dropAll(): void {
    dropFlights()
    copies?.clear()
    copies?.markUnverified()
  }

  return {
    peek,
    read,
    refresh,
    invalidate,
    invalidateKey,
    invalidateForChange,
    onStoreMessage,
    verified: (ofGeneration, requestedAtMs) => copies?.verified(ofGeneration, requestedAtMs),
    endWaits: patience.end,
    settle: tasks.settle,
  }
}
