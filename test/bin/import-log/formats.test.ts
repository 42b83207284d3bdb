import { Readable } from 'node:stream'
import { sql } from 'kysely'
import t from 'tap'
import { importLog } from '../../../bin/import-log/import-log.ts'
import { POST, readTotals } from '../../helpers/access-log.ts'
import { countViews, createRequests } from '../../helpers/log-hits.ts'
import { WRITERS } from '../../helpers/log-writers.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const { db } = await createTestDatabase(t)
const { rows: tables } = await sql<{ name: string }>`
  select format('%I', tablename) as name from pg_tables
  where schemaname = current_schema() and tablename not like '%migration%'`.execute(db)

for (const [index, [name, { head = [], write, hasAgent = true, format }]] of Object.entries(WRITERS).entries()) {
  t.test(`1,200 requests in the format ${name} have the views of an independent count`, async (t) => {
    await sql`truncate ${sql.raw(tables.map((table) => table.name).join(', '))} cascade`.execute(db)
    const requests = createRequests(1200, index)
    const lines = [...head]
    let malformed = 0
    for (const [number, request] of requests.entries()) {
      const written = [write(request)].flat()
      lines.push(...written)
      const [first = ''] = written
      if (number % 50 === 49) {
        lines.push(first.slice(0, Math.min(first.length / 4, 50)), '', 'no access log')
        malformed += 2
      }
      // A server that starts again writes the head again.
      if (number === 600) lines.push(...head)
    }
    const input = Readable.from([Buffer.from(`${lines.join('\n')}\n`)])
    const expected = countViews(requests, { hasAgent })
    const options = { db, timeZone: 'UTC', dedupSeconds: 900, nowMs: Date.UTC(2024, 2, 2), post: POST }
    const summary = await importLog({ ...options, createPosts: true, input, format })
    t.match(summary, {
      lines: 1200 + malformed,
      viewsCounted: expected.views,
      bots: expected.bots,
      repeats: expected.repeats,
      malformed,
      withoutAgent: hasAgent ? 0 : 1200,
      proxies: [],
      stoppedBy: undefined,
    })
    t.strictSame(sorted(await readTotals(db)), sorted(expected.counts))
  })
}

function sorted(counts: Record<string, number>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1))
}
