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
/** The time after a recovery of PostgreSQL in which a cool-down may last. */
const COOL_DOWN_MS = 5_000 + SLACK_MS

/**
 * Checks the replies of members against the times at which Redis and PostgreSQL were down.
 *
 * 1. A read that begins after a confirmed invalidation returns at least that version. Only while Redis is down or too
 *    slow for the member, and shortly after, a member may return an older version, for one second after its load.
 * 2. A read fails only when no list can be served: PostgreSQL is down or was down within a cool-down, and no reachable
 *    Redis has the list.
 * 3. A connection breaks only when its process was killed.
 */
export function createJudge() {
  const away = { redis: [] as Span[], postgres: [] as Span[] }
  const kills: { slot: number; atMs: number }[] = []
  const confirmed: { version: number; atMs: number }[] = []
  const lists = new Map<string, number>()
  const counts = { reads: 0, failed: 0, broken: 0, staleWhileCutOff: 0, givenUp: 0, confirmed: 0, unconfirmed: 0 }
  const violations: string[] = []
  let floor = 0
  let invalidating = 0
  let lastInvalidationMs = 0
  let unsureUntilMs = 0

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
      // A hard invalidation overtook three loads in a row: see docs/cache.md.
      const isUnsettled = how === 'PP_UNSETTLED'
      if (status !== 503 || ((isLoadable || isInRedis) && !isUnsettled))
        violate(`a failure (${isLoadable ? 'loadable' : 'kept'})`, reading)
      return
    }
    if (!isCutOff && how.startsWith('hit') && startedAtMs > lastInvalidationMs) lists.set(path, startedAtMs)
    if (version >= reading.floor) return
    const finalSinceMs = confirmed.find((one) => one.version > version)?.atMs ?? 0
    const loadedForMs = performance.timeOrigin + startedAtMs - loadedAtMs
    if (isCutOff && loadedForMs < 1_000 + SLACK_MS) counts.staleWhileCutOff += 1
    else violate(`stale for ${Math.round(startedAtMs - finalSinceMs)} ms${isCutOff ? ', Redis was away' : ''}`, reading)
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
    killed: (slot: number) => kills.push({ slot, atMs: performance.now() }),
    /** Records that an invalidation begins. Call the returned function with its outcome. */
    invalidates(version: number): (isConfirmed: boolean) => void {
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
        confirmed.push({ version, atMs })
        floor = Math.max(floor, version)
      }
    },
  }
}
