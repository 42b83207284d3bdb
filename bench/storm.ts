/**
 * How long do readers wait while a post changes every 50 ms, in a fleet on Redis? `npm run bench:storm`;
 * `-- --seconds 60 --processes 8 --loads 300,1500,3000` (loads in ms).
 */
import { parseArgs } from 'node:util'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/schema.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { makeStorm } from '../test/helpers/storm.ts'
import { createReport } from './report.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    processes: { type: 'string', default: '8' },
    loads: { type: 'string', default: '300,1500,3000' },
    write: { type: 'boolean', default: false },
  },
})
const [seconds, processes] = [Number(values.seconds), Number(values.processes)]
const loadsMs = values.loads.split(',').map(Number)
if (!(seconds >= 1) || !(Number.isInteger(processes) && processes >= 1) || !loadsMs.every((ms) => ms >= 0))
  throw new TypeError('Expected --seconds and --processes of at least 1, and --loads in ms, separated by commas.')

const report = createReport('bench:storm', values)

/** One storm, on servers of its own. */
async function measure(loadMs: number): Promise<string[]> {
  const ends: (() => Promise<unknown>)[] = []
  const t = { teardown: (end: () => Promise<unknown>) => ends.unshift(end) }
  try {
    const [postgres, redis] = await Promise.all([startPostgres({ settings: { max_connections: 300 } }), startRedis()])
    t.teardown(() => Promise.all([postgres.remove(), redis.stop()]))
    const db = new Kysely<Database>({
      dialect: new PostgresDialect({ pool: new Pool({ connectionString: postgres.url, max: 1 }) }),
    })
    await migrateToLatest(db).finally(() => db.destroy())
    const servers = { postgresUrl: postgres.url, redisUrl: redis.url, prefix: 'storm' }
    const found = await makeStorm(t, { ...servers, processes, seconds, loadSeconds: loadMs / 1000, isWarm: false })
    const { replies, failed, durations, invalidations, loads, elapsedSeconds, storeFailures, settledMs } = found
    const { medianMs, p99Ms, longestMs } = durations
    return [
      `${loadMs} ms`,
      `${replies.length}`,
      `${((100 * failed.length) / replies.length).toFixed(1)} %`,
      `${medianMs.toFixed(0)} ms`,
      `${p99Ms.toFixed(0)} ms, ${(p99Ms / loadMs).toFixed(2)} loads`,
      `${longestMs.toFixed(0)} ms`,
      `${invalidations}, ${(invalidations / elapsedSeconds).toFixed(2)} a second`,
      `${loads}`,
      `${storeFailures}`,
      `${(settledMs / 1000).toFixed(1)} s`,
    ]
  } finally {
    for (const end of ends) await end()
  }
}

const rows: string[][] = []
for (const loadMs of loadsMs) {
  report.progress(`a load of ${loadMs} ms, ${seconds} s`)
  rows.push(await measure(loadMs))
}
report.say(`${processes} processes, a hard change every 50 ms for ${seconds} s, three readers in each process.`)
const head = [
  'a load',
  'reads',
  '503',
  'median',
  'p99',
  'longest',
  'invalidations',
  'loads',
  'Redis lost',
  'settled after',
]
report.table([head, ...rows])
report.end()
