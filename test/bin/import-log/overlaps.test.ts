import { existsSync, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import t, { type Test } from 'tap'
import { type ImportLogOptions, importLog } from '../../../bin/import-log/import-log.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'
import { bucketStart } from '../../../db/count-views.ts'
import { undoImport } from '../../../db/log-undo.ts'
import type { Database } from '../../../db/schema.ts'
import { addPosts, bruteForce, FIREFOX, type Hit, LOG_BEGINS, logOf, readDailyViews } from '../../helpers/access-log.ts'
import { createCountedViews, readCounters } from '../../helpers/counted-views.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const NOW_MS = LOG_BEGINS + 86_400_000
const COUNTING = { timeZone: 'UTC', dedupSeconds: 900, nowMs: NOW_MS }
const WIDE = '^/blog/(?<slug>[^/]+)$'
const NARROW = '^/blog/(?<slug>a)$'

function importHits(db: Kysely<Database>, hits: readonly Hit[], options: Partial<ImportLogOptions> = {}) {
  const input = Readable.from([Buffer.from(logOf(hits))])
  return importLog({ db, ...COUNTING, input, post: compilePostPattern(WIDE), ...options })
}

const byTime = (hits: Iterable<Hit>) => [...hits].sort((a, b) => a.second - b.second)

/** Visits of three posts by two readers, with repeats that reach over every cut. */
const HITS: Hit[] = Array.from({ length: 90 }, (_none, i) => ({
  second: i * 97,
  visitor: 1 + (i % 2),
  target: i % 9 === 8 ? '/style.css' : `/blog/${'abc'[(i * 5) % 3] ?? 'a'}`,
  status: i % 17 === 16 ? 404 : 200,
  agent: i % 13 === 12 ? 'Googlebot' : FIREFOX,
}))

async function prepare(t: Test): Promise<Kysely<Database>> {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  return db
}

const [FIRST, SECOND, THIRD] = [HITS.slice(0, 30), HITS.slice(30, 60), HITS.slice(60)]
const CUTS: Record<string, readonly (readonly Hit[])[]> = {
  'rotated parts, then all of them in one': [FIRST, SECOND, THIRD, HITS],
  'all, then each part': [HITS, FIRST, SECOND, THIRD],
  'parts, the newest first': [THIRD, SECOND, FIRST],
  'parts in one stream, the newest first': [[...THIRD, ...SECOND, ...FIRST]],
  'head, then all': [HITS.slice(0, 41), HITS],
  'tail, then all': [HITS.slice(-41), HITS],
  'all, then tail': [HITS, HITS.slice(-7)],
  'tail, then head with an overlap': [HITS.slice(20), HITS.slice(0, 50)],
  'grep -v of bots, then all': [HITS.filter(({ agent }) => agent !== 'Googlebot'), HITS],
  'all, then grep of one post': [HITS, HITS.filter(({ target }) => target === '/blog/b')],
  'every second line, then all': [HITS.filter((_hit, i) => i % 2 === 0), HITS],
  'the logs of two servers, then merged': [
    HITS.filter((_hit, i) => i % 5 < 2),
    HITS.filter((_hit, i) => i % 5 >= 2),
    HITS,
  ],
  'the logs of two servers, one after the other in one stream': [
    [...HITS.filter((_hit, i) => i % 5 < 2), ...HITS.filter((_hit, i) => i % 5 >= 2)],
  ],
  'the same part twice in one stream': [[...FIRST, ...FIRST, ...SECOND, ...THIRD]],
  'a log that grows': [10, 11, 12, 40, 41, 89, 90].map((length) => HITS.slice(0, length)),
  'a backfill, then a log that grows': [HITS.slice(0, 50), ...[10, 25, 60].map((n) => HITS.slice(30, 30 + n))],
  'backwards, as by tac': [HITS.toReversed()],
  'backwards line by line': HITS.toReversed().map((hit) => [hit]),
}
for (const [name, parts] of Object.entries(CUTS)) {
  t.test(`each line counts once: ${name}`, async (t) => {
    for (const chunkLines of [7, 10_000]) {
      const db = await prepare(t)
      for (const part of parts) {
        const { lines, ...summary } = await importHits(db, part, { chunkLines })
        const { viewsCounted, viewsCountedBefore, bots, ignored, repeats, unknown, other, malformed } = summary
        t.equal(lines, viewsCounted + viewsCountedBefore + bots + ignored + repeats + unknown + other + malformed)
      }
      t.strictSame(await readDailyViews(db), bruteForce(HITS), `chunks of ${chunkLines} lines`)
      t.match(await importHits(db, HITS), { viewsCounted: 0, repeats: /\d/ })
      t.strictSame(await readDailyViews(db), bruteForce(HITS), 'again')
    }
  })
}

t.test('a wider --post counts exactly what the narrower one did not match, and the other way round', async (t) => {
  for (const patterns of [
    [NARROW, WIDE],
    [WIDE, NARROW],
    ['^/blog/(?<slug>[bc])$', NARROW, WIDE],
  ]) {
    const db = await prepare(t)
    const matched = new Set<Hit>()
    for (const source of patterns) {
      const before = Object.values(await readDailyViews(db)).reduce((sum, views) => sum + views, 0)
      const { viewsCounted } = await importHits(db, HITS, { post: compilePostPattern(source) })
      for (const hit of HITS) if (new RegExp(source).test(hit.target)) matched.add(hit)
      const expected = bruteForce(byTime(matched))
      t.strictSame(await readDailyViews(db), expected, source)
      t.equal(viewsCounted, Object.values(expected).reduce((sum, views) => sum + views, 0) - before)
    }
  }
})

t.test('another window counts no line again, and holds for new lines', async (t) => {
  const db = await prepare(t)
  const at = (...seconds: number[]) => seconds.map((second) => ({ second, target: '/blog/a' }))
  await importHits(db, at(0, 500, 1000), { dedupSeconds: 300 })
  t.match(await importHits(db, at(0, 500, 1000), { dedupSeconds: 900 }), { viewsCounted: 0, viewsCountedBefore: 3 })
  t.match(await importHits(db, at(0, 500, 1000, 1800, 1901), { dedupSeconds: 900 }), { viewsCounted: 1 })
})

const hit = fc.record({
  second: fc.integer({ min: 0, max: 9000 }),
  visitor: fc.integer({ min: 1, max: 2 }),
  target: fc.constantFrom('/blog/a', '/blog/a', '/blog/b', '/x'),
  status: fc.constantFrom(200, 200, 200, 404),
})
const step = fc.record({
  from: fc.nat(60),
  length: fc.nat(60),
  /** A second part in the same stream. */
  and: fc.option(fc.record({ from: fc.nat(60), length: fc.nat(20) })),
  without: fc.option(fc.constantFrom('/blog/a', '/blog/b', '/x')),
  order: fc.constantFrom('as it is', 'as it is', 'backwards'),
  post: fc.constantFrom(WIDE, WIDE, NARROW),
  chunkLines: fc.constantFrom(1, 3, 10, 10_000),
  /** The statement at which the connection is lost, and the import is run again. */
  failsAt: fc.option(fc.integer({ min: 1, max: 40 })),
  /** Undoes the latest import that can be undone, in place of an import. */
  isUndo: fc.constantFrom(false, false, false, true),
})

t.test(
  'random cuts, orders, overlaps, patterns, failures and undos: counters equal a count of each line',
  async (t) => {
    const db = await prepare(t)
    const { rows } = await sql<{ slug: string; id: string }>`select slug, id::text from posts`.execute(db)
    const ids = new Map(rows.map(({ slug, id }) => [slug, id]))
    await fc.assert(
      fc.asyncProperty(
        fc.array(hit, { maxLength: 60 }),
        fc.array(step, { minLength: 1, maxLength: 6 }),
        async (all, steps) => {
          await sql`truncate post_views_hourly, post_views_daily, post_views_total, post_views_log_import,
        post_views_log_visits`.execute(db)
          const hits = byTime(all)
          const imports: { id: string; brought: Set<Hit> }[] = []
          const counted = new Set<Hit>()
          const sameAs = (one: Hit) => hits.filter((other) => JSON.stringify(other) === JSON.stringify(one))
          for (const { from, length, and, without, order, post, chunkLines, failsAt, isUndo } of steps) {
            const last = isUndo ? imports.pop() : undefined
            if (last !== undefined) {
              await undoImport(db, { ...COUNTING, id: last.id })
              for (const one of last.brought) counted.delete(one)
            } else {
              const part = [
                ...hits.slice(from, from + length),
                ...hits.slice(and?.from, (and?.from ?? 0) + (and?.length ?? 0)),
              ]
              const kept = part.filter(({ target }) => target !== without)
              const lines = order === 'backwards' ? kept.toReversed() : kept
              const options = { chunkLines, post: compilePostPattern(post) }
              let statements = 0
              const faulty = db.withPlugin({
                transformQuery({ node }) {
                  if (++statements === failsAt) throw new Error('connection lost')
                  return node
                },
                transformResult: async ({ result }) => result,
              })
              const failed = await importHits(faulty, lines, options).catch(() => undefined)
              const again = await importHits(db, lines, options)
              const matched = lines.filter(({ target, status }) => new RegExp(post).test(target) && status === 200)
              const brought = new Set(matched.flatMap(sameAs).filter((one) => !counted.has(one)))
              for (const one of brought) counted.add(one)
              // An import that failed may have brought a part under an id that the test does not know.
              const id = failed?.importId ?? again.importId
              if (failed !== undefined && id !== undefined) imports.push({ id, brought })
              else imports.length = 0
            }
            const expected = createCountedViews('UTC')
            const sorted = byTime(counted)
            for (const target of ['/blog/a', '/blog/b']) {
              for (const visitor of [1, 2]) {
                let lastSecond = Number.NEGATIVE_INFINITY
                for (const one of sorted.filter((each) => each.target === target && each.visitor === visitor)) {
                  if (one.second - lastSecond < 900) continue
                  lastSecond = one.second
                  const bucketStartMs = bucketStart(LOG_BEGINS + one.second * 1000)
                  expected.add({ post: ids.get(target.slice(6)) ?? '', bucketStartMs, views: 1 })
                }
              }
            }
            const { heats, ...found } = await readCounters(db, { ...COUNTING, kept: true })
            t.strictSame(found, expected.counters(NOW_MS))
            for (const [post, heat] of Object.entries(expected.heats())) {
              t.ok(Math.abs(heat - (heats[post] ?? 0)) < 1e-8, `heat of ${post}`)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  },
)

const FILE = '../shared/data/semicomplete-access.log'
const skip = existsSync(FILE) ? false : `${FILE} is not there: see its source, github.com/elastic/examples`

t.test('the log of a real blog in parts that overlap gives its 339 views', { skip }, async (t) => {
  const lines = readFileSync(FILE, 'utf8').trimEnd().split('\n')
  const post = compilePostPattern('^/blog/(?:[^/]+/)*(?<slug>[^/]+)\\.html$')
  const plans = {
    'the newest half first': [lines.slice(5000), lines.slice(0, 5000)],
    'backwards, with an overlap': [lines.slice(4000).reverse(), lines.slice(0, 6000).reverse()],
    'without the lines of a reader, then all': [lines.filter((line) => !line.startsWith('66.')), lines],
    'odd lines, even lines': [lines.filter((_line, i) => i % 2 === 1), lines.filter((_line, i) => i % 2 === 0)],
  }
  for (const [name, parts] of Object.entries(plans)) {
    const { db } = await createTestDatabase(t)
    for (const part of parts) {
      const input = Readable.from([part.map((line) => `${line}\n`).join('')])
      await importLog({ db, ...COUNTING, input, post, createPosts: true })
    }
    const { rows } = await sql`select sum(views)::integer as views from post_views_total`.execute(db)
    t.strictSame(rows, [{ views: 339 }], name)
  }
})
