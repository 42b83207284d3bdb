import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { readTotals } from '../../helpers/access-log.ts'
import { readAllCounters } from '../../helpers/counter-exports.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { LOADER } from '../../helpers/program.ts'

const FIXTURE = new URL('../../fixtures/import-counts-process.ts', import.meta.url).pathname

/** Imports in a process that is killed after its `killAt`th statement. */
async function importKilled(url: string, file: string, killAt: number) {
  const child = spawn(process.execPath, [LOADER, FIXTURE, url, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    if (lines.push(line) === killAt) child.kill('SIGKILL')
  }
  const [code, signal] = await exited
  return { lines, code, signal }
}

t.test('an import killed at any statement and run again counts each number of the export once', async (t) => {
  const rows = Array.from({ length: 12_000 }, (_none, i) => ({
    slug: `post-${i % 40}`,
    day: new Date(Date.UTC(2023, 0, 1 + (i % 300))).toISOString().slice(0, 10),
    views: 1 + ((i * 7) % 13),
  }))
  const file = join(t.testdir({}), 'counts.csv')
  const text = rows.map(({ slug, day, views }) => `/blog/${slug}/,${day},${views}\n`).join('')
  await writeFile(file, `path,day,views\n${text}`)
  const expected: Record<string, number> = {}
  for (const { slug, views } of rows) expected[slug] = (expected[slug] ?? 0) + views
  const total = rows.reduce((sum, { views }) => sum + views, 0)

  const [whole, killed] = await Promise.all([createTestDatabase(t), createTestDatabase(t)])
  const { lines, code } = await importKilled(whole.url, file, Number.POSITIVE_INFINITY)
  t.equal(code, 0)
  t.equal(lines.at(-1), `views ${total}`)
  const commit = lines.indexOf('commit') + 1
  t.ok(commit > 10, lines.join(' '))
  const counters = await readAllCounters(whole.db)
  t.same(await readTotals(whole.db), expected)

  // The last ones are killed while the transaction commits, or right after that.
  for (const killAt of [2, commit * 0.3, commit * 0.6, commit - 3, commit - 1, commit].map(Math.floor)) {
    const { signal } = await importKilled(killed.url, file, killAt)
    if (killAt < commit - 1) t.equal(signal, 'SIGKILL', `after statement ${killAt} of ${commit}`)
    const found = await readAllCounters(killed.db)
    t.strictSame(found, Object.keys(found).length === 0 ? {} : counters, 'everything is counted, or nothing')
  }
  const again = await importKilled(killed.url, file, Number.POSITIVE_INFINITY)
  t.equal(again.code, 0)
  t.strictSame(await readAllCounters(killed.db), counters)
  t.same(await readTotals(killed.db), expected)
  const once = await importKilled(killed.url, file, Number.POSITIVE_INFINITY)
  t.equal(once.lines.at(-1), 'views 0')
  t.strictSame(await readAllCounters(killed.db), counters)
})
