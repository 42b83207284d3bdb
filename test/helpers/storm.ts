import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'pg'
import { createVersions, type Member, type MemberReply, setSeconds, startMember, total, underLoad } from './fleet.ts'
import type { Teardown } from './program.ts'
import { until } from './services/until.ts'

interface StormOptions {
  processes: number
  /** A migrated database. */
  postgresUrl: string
  redisUrl: string
  prefix: string
  /** How long a load takes. */
  loadSeconds: number
  /** How long posts change. */
  seconds: number
  /** Whether the list is loaded before the first change. */
  isWarm: boolean
}

const CHANGE_EVERY_MS = 50

/** A post of the database changes every 50 ms, hard, while three readers of each process read the list every 50 ms. */
export async function makeStorm(t: Teardown, options: StormOptions) {
  const { processes, postgresUrl, redisUrl, prefix, loadSeconds, seconds, isWarm } = options
  const pool = new Pool({ connectionString: postgresUrl, max: 3 })
  pool.on('error', () => undefined)
  t.teardown(() => pool.end())
  await createVersions(pool)
  await pool.query(
    "insert into posts (slug, title, url, published_at) values ('version-1', 'A post', '/posts/version-1', now())",
  )
  const databaseUrl = postgresUrl
  const members: Member[] = []
  // One after another, because all at once would take a minute on a machine with few cores.
  for (let index = 0; index < processes; index += 1)
    members.push(await startMember(t, { postgresUrl, databaseUrl, redisUrl, redisPrefix: prefix }))
  await setSeconds(pool, loadSeconds)
  if (isWarm) await Promise.all(members.map((member) => member.read()))
  const counts = async () => ({
    invalidations: await total(members, 'invalidations'),
    loads: await total(members, 'loads'),
    storeFailures: await total(members, 'storeFailures'),
  })
  const before = await counts()
  const startedAtMs = performance.now()
  let changes = 0
  const replies = await underLoad(members, { concurrency: 3, pauseMs: 50 }, async () => {
    while (performance.now() - startedAtMs < seconds * 1000) {
      changes += 1
      await sleep(Math.max(0, startedAtMs + changes * CHANGE_EVERY_MS - performance.now()))
      await pool.query(`
        with changed as (update versions set version = version + 1 returning version)
        update posts set slug = 'version-' || version from changed`)
    }
  })
  const elapsedSeconds = (performance.now() - startedAtMs) / 1000
  const after = await counts()
  const newest = changes + 1
  const endedAtMs = performance.now()
  const seen = new Set<number>()
  await until(async () => {
    for (const { version, pid } of await Promise.all(members.map((member) => member.read())))
      if (version === newest) seen.add(pid)
    return seen.size === processes
  }, 'all processes show the last change')
  return {
    replies,
    changes,
    elapsedSeconds,
    durations: durationsOf(replies),
    failed: replies.filter(({ status }) => status !== 200).map(({ status, how }) => `${status} ${how}`),
    invalidations: after.invalidations - before.invalidations,
    loads: after.loads - before.loads,
    storeFailures: after.storeFailures,
    /** The time from the last change until all processes show it. */
    settledMs: performance.now() - endedAtMs,
  }
}

function durationsOf(replies: readonly MemberReply[]) {
  const sorted = replies.map(({ durationMs }) => durationMs).sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) }
}
