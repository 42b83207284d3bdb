import type { MemberReply } from './fleet.ts'

/** A span of time; `untilMs` is infinite until it ends. */
interface Span {
  fromMs: number
  untilMs: number
}

interface JudgedRead extends MemberReply {
  slot: number
  path: string
  /** The newest version whose invalidation was confirmed before the read began. */
  floor: number
}

/** The tolerance for delays of a process, because many processes share few cores. */
const SLACK_MS = 1_000
/** The time after a recovery of Redis in which a member may still treat Redis as down, and serve its own copy. */
const CUT_OFF_MS = 1_000 + 1_000 + SLACK_MS
/** How long after queries are fast again a slow one may run. */
const SLOW_MS = 4_000 + SLACK_MS
/** How long after PostgreSQL is back a cool-down may last. */
const COOL_DOWN_MS = 5_000 + SLACK_MS

/**
 * Checks the replies of members against the times at which Redis and PostgreSQL were down.
 *
 * 1. A read that began after an invalidation was confirmed shows at least that version. Only while Redis is out of
 *    reach, or was too slow for the member, and shortly after, an older one may be answered: for one second after it
 *    was loaded.
 *    Where a failover or a restored snapshot has lost the invalidation, it is counted (`staleAfterLoss`);
 *    so is an older one while two masters take writes.
 * 2. A read fails only where there was nothing to serve: PostgreSQL is away or was a cool-down ago, and the list is not
 *    in a Redis that can be reached.
 * 3. A connection breaks only where the process was killed.
 */
export function createJudge() {
  const away = {
    redis: [] as Span[],
    postgres: [] as Span[],
    'fast queries': [] as Span[],
    'a single master': [] as Span[],
  }
  const kills: { slot: number; atMs: number }[] = []
  const confirmed: { version: number; sentAtMs: number; atMs: number }[] = []
  const lists = new Map<string, number>()
  const counts = {
    reads: 0,
    failed: 0,
    broken: 0,
    staleWhileCutOff: 0,
    staleAfterLoss: 0,
    staleOfTwoMasters: 0,
    /** The time between the loss and the start of the last of these reads. */
    longestAfterLossMs: 0,
    givenUp: 0,
    confirmed: 0,
    unconfirmed: 0,
  }
  const violations: string[] = []
  let floor = 0
  let invalidating = 0
  let lastInvalidationMs = 0
  let unsureUntilMs = 0
  let lostAtMs = Number.NEGATIVE_INFINITY

  const touches = (spans: Span[], fromMs: number, untilMs: number) =>
    spans.some((span) => span.fromMs <= untilMs && span.untilMs >= fromMs)

  function violate(what: string, reading: JudgedRead): void {
    violations.push(`${what}: ${JSON.stringify(reading)}`)
  }

  function judge(reading: JudgedRead): void {
    const { status, version, startedAtMs, durationMs, slot, path, how, loadedAtMs, lostRedisAtMs } = reading
    const endedAtMs = startedAtMs + durationMs
    counts.reads += 1
    if (status === 0) {
      counts.broken += 1
      const isKilled = kills.some(
        (kill) => kill.slot === slot && kill.atMs <= endedAtMs && kill.atMs >= startedAtMs - 1,
      )
      if (!isKilled) violate('no answer, though the process lives', reading)
      return
    }
    const isAway = touches(away.redis, startedAtMs - CUT_OFF_MS, endedAtMs)
    // On a busy machine a reply of Redis may exceed the timeout of the member.
    const isGivenUp = lostRedisAtMs >= performance.timeOrigin + startedAtMs - CUT_OFF_MS
    if (isGivenUp && !isAway) counts.givenUp += 1
    const isCutOff = isAway || isGivenUp
    if (status !== 200) {
      counts.failed += 1
      const isLoadable = !touches(away.postgres, startedAtMs - COOL_DOWN_MS, endedAtMs)
      const isInRedis = !isCutOff && (lists.get(path) ?? 0) > lastInvalidationMs
      // Slow loads overtaken by hard invalidations, three in a row, in all slots, or for longer than a reader waits:
      // docs/cache.md says so.
      const isSlow = touches(away['fast queries'], startedAtMs - SLOW_MS, endedAtMs)
      const isUnsettled = how === 'PP_UNSETTLED' || (['PP_TOO_MANY_LOADS', 'PP_WAIT_TIMEOUT'].includes(how) && isSlow)
      if (status !== 503 || ((isLoadable || isInRedis) && !isUnsettled))
        violate(`a failure (${isLoadable ? 'loadable' : 'kept'})`, reading)
      return
    }
    if (!isCutOff && how.startsWith('hit') && startedAtMs > lastInvalidationMs) lists.set(path, startedAtMs)
    if (version >= reading.floor) return
    const finalSinceMs = confirmed.find((one) => one.version > version)?.atMs ?? 0
    const loadedForMs = performance.timeOrigin + startedAtMs - loadedAtMs
    const sentAtMs = confirmed.find((one) => one.version === reading.floor)?.sentAtMs ?? 0
    if (isCutOff && loadedForMs < 1_000 + SLACK_MS) counts.staleWhileCutOff += 1
    else if (touches(away['a single master'], startedAtMs, endedAtMs)) counts.staleOfTwoMasters += 1
    else if (sentAtMs <= lostAtMs) {
      counts.staleAfterLoss += 1
      counts.longestAfterLossMs = Math.max(counts.longestAfterLossMs, startedAtMs - lostAtMs)
    } else
      violate(`stale for ${Math.round(startedAtMs - finalSinceMs)} ms${isCutOff ? ', Redis was away' : ''}`, reading)
  }

  return {
    counts,
    violations,
    judge,
    floor: () => floor,
    /** Records that a server goes down. Call the returned function when it is back. */
    goesAway(server: keyof typeof away): () => void {
      const span = { fromMs: performance.now(), untilMs: Number.POSITIVE_INFINITY }
      away[server].push(span)
      if (server === 'redis') lists.clear()
      return () => {
        span.untilMs = performance.now()
      }
    },
    isAway: (server: keyof typeof away) => away[server].some(({ untilMs }) => untilMs > performance.now()),
    /** Redis has lost writes that it had confirmed before now. */
    losesWrites(): void {
      lostAtMs = performance.now()
    },
    killed: (slot: number) => kills.push({ slot, atMs: performance.now() }),
    /** Records that an invalidation begins. Call the returned function with its outcome. */
    invalidates(version: number): (isConfirmed: boolean) => void {
      const sentAtMs = performance.now()
      invalidating += 1
      lastInvalidationMs = Number.POSITIVE_INFINITY
      return (isConfirmed) => {
        const atMs = performance.now()
        invalidating -= 1
        // An unconfirmed invalidation may still take effect a little later.
        if (!isConfirmed) unsureUntilMs = atMs + CUT_OFF_MS
        if (invalidating === 0) lastInvalidationMs = Math.max(atMs, unsureUntilMs)
        counts[isConfirmed ? 'confirmed' : 'unconfirmed'] += 1
        if (!isConfirmed) return
        confirmed.push({ version, sentAtMs, atMs })
        floor = Math.max(floor, version)
      }
    },
  }
}
