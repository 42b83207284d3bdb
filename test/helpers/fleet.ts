import { once } from 'node:events'
import type { Pool } from 'pg'
import type { PopularPostsOptions, PopularPostsStats } from '../../index.ts'
import { runProgram, type Teardown } from './program.ts'
import { endAtExit, forgetPid } from './services/reaper.ts'

export const ADMIN_TOKEN = 'a token of the fleet'

/** The timeout of a start, which takes a second on an idle machine, and many times that under all tests. */
const BOOT_MS = 60_000

interface FleetOptions extends PopularPostsOptions {
  /** The database from which the members load; see `createVersions`. */
  postgresUrl: string
  /** The Sentinels of the master `torture`; in place of `redisUrl`. */
  sentinels?: readonly { host: string; port: number }[]
  /** The error of each member's clock. */
  clockShiftsMs?: readonly number[]
}

/** The reply of a member. */
export interface MemberReply {
  /** The process id of the member. */
  pid: number
  /** The HTTP status; 0 without a reply, because the process or the connection ended. */
  status: number
  /** The version of the list; 0 without a list. */
  version: number
  /** The time of the load, by the clock of the machine. */
  loadedAtMs: number
  /** The last time at which the member treated Redis as down, by the clock of the machine; 0: never. */
  lostRedisAtMs: number
  /** Cache-Status without its name, as in `hit; ttl=3`. */
  how: string
  retryAfter: string | null
  startedAtMs: number
  durationMs: number
}

export type Member = Awaited<ReturnType<typeof startMember>>

/** Starts several members of one fleet, which end with the test. */
export function startFleet(t: Teardown, count: number, options: FleetOptions): Promise<Member[]> {
  const { clockShiftsMs = [], ...rest } = options
  return Promise.all(Array.from({ length: count }, (_none, index) => startMember(t, rest, clockShiftsMs[index])))
}

/** Starts one member of a fleet; see `test/fixtures/fleet-member.ts`. */
export async function startMember(t: Teardown, options: FleetOptions, clockShiftMs = 0) {
  const program = runProgram(t, 'test/fixtures/fleet-member.ts', {
    args: [JSON.stringify({ adminToken: ADMIN_TOKEN, ...options })],
    env: { CLOCK_SHIFT_MS: String(clockShiftMs) },
    isCovered: false,
  })
  const { child } = program
  const pid = child.pid ?? 0
  endAtExit(pid)
  child.once('exit', () => forgetPid(pid))
  // A frozen process does not react to SIGTERM.
  t.teardown(async () => {
    child.kill('SIGCONT')
  })
  const [url = ''] = await program.says(/http:\S+/, BOOT_MS)
  const isGone = () => child.exitCode !== null || child.signalCode !== null

  async function read(path = '/posts/popular', signal?: AbortSignal): Promise<MemberReply> {
    const startedAtMs = performance.now()
    const none = { status: 0, version: 0, loadedAtMs: 0, lostRedisAtMs: 0, how: '', retryAfter: null }
    const answer = await fetch(url + path, signal ? { signal } : {}).then(
      async (response) => {
        const list = (await response.json()) as { version: number; loadedAtMs: number }[]
        return {
          status: response.status,
          version: response.status === 200 ? (list[0]?.version ?? 0) : 0,
          loadedAtMs: list[0]?.loadedAtMs ?? 0,
          lostRedisAtMs: Number(response.headers.get('x-lost-redis')),
          how: response.headers.get('cache-status')?.replace('popular-posts; ', '') ?? codeIn(list),
          retryAfter: response.headers.get('retry-after'),
        }
      },
      () => none,
    )
    return { pid, ...answer, startedAtMs, durationMs: performance.now() - startedAtMs }
  }

  return {
    pid,
    url,
    read,
    stats: async (): Promise<PopularPostsStats> => (await (await fetch(`${url}/stats`)).json()) as PopularPostsStats,
    /** Resolves to the status: 200 when the invalidation is confirmed. */
    async invalidate(mode: 'hard' | 'soft' = 'hard'): Promise<number> {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
      const response = await fetch(`${url}/posts/popular/invalidate?mode=${mode}`, { method: 'POST', headers })
      await response.arrayBuffer()
      return response.status
    },
    /** Sends a signal: SIGSTOP freezes the process, SIGCONT continues it, SIGKILL ends it. Waits after SIGKILL. */
    async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
      if (isGone()) return
      child.kill(signal)
      if (signal === 'SIGKILL') await once(child, 'exit')
    },
    isGone,
  }
}

/** Creates the table that the members load: a version, and the duration of a load. */
export async function createVersions(pool: Pool, seconds = 0): Promise<void> {
  await pool.query('create table versions (version integer not null, seconds double precision not null)')
  await pool.query('insert into versions values (1, $1)', [seconds])
}

/** Publishes the next version, and resolves to it. */
export async function publish(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ version: number }>('update versions set version = version + 1 returning version')
  return rows[0]?.version ?? 0
}

export async function setSeconds(pool: Pool, seconds: number): Promise<void> {
  await pool.query('update versions set seconds = $1', [seconds])
}

/** The process ids of the members that are in a slow load, where their statement already sleeps. */
export async function loaders(pool: Pool): Promise<number[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select application_name as name from pg_stat_activity
     where datname = current_database() and wait_event = 'PgSleep' and application_name like 'member %'`,
  )
  return rows.map(({ name }) => Number(name.slice('member '.length)))
}

/** Reads from all members until `work` ends, with `concurrency` readers for each member. */
export async function underLoad(
  members: readonly Member[],
  { concurrency = 5, pauseMs = 5, paths = ['/posts/popular'] },
  work: () => Promise<unknown>,
): Promise<MemberReply[]> {
  const answers: MemberReply[] = []
  let isOver = false
  const readers = members.flatMap((member) =>
    Array.from({ length: concurrency }, async () => {
      for (let count = 0; !isOver; count += 1) {
        answers.push(await member.read(paths[count % paths.length]))
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }),
  )
  try {
    await work()
  } finally {
    isOver = true
    await Promise.all(readers)
  }
  return answers
}

/** The sum of one counter over all members. */
export async function total(members: readonly Member[], name: keyof PopularPostsStats): Promise<number> {
  const all = await Promise.all(members.map((member) => member.stats()))
  return all.reduce((sum, stats) => sum + Number(stats[name]), 0)
}

/** The code in the body of an error. */
function codeIn(body: unknown): string {
  return typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : ''
}
