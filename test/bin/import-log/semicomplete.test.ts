import { createReadStream, existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { importLog } from '../../../bin/import-log/import-log.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'
import { readTotals } from '../../helpers/access-log.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

/** The folder or pattern in the command of the README. */
const [, README_POST = ''] = /import-log access\.log --post (\S+)/.exec(readFileSync('README.md', 'utf8')) ?? []
const FILE = '../shared/data/semicomplete-access.log'
const skip = existsSync(FILE) ? false : `${FILE} is not there: see its source, github.com/elastic/examples`

for (const [source, bots] of [
  ['^/blog/(?:[^/]+/)*(?<slug>[^/]+)\\.html$', 451],
  // Bots requested four more paths that can be posts.
  [README_POST, 455],
] as const)
  t.test(`the log of a real blog gives its popular posts, once, by --post ${source}`, { skip }, async (t) => {
    const { db } = await createTestDatabase(t)
    const post = compilePostPattern(source)
    const read = () => {
      const options = { db, timeZone: 'UTC', dedupSeconds: 900, nowMs: Date.UTC(2015, 4, 21), createPosts: true }
      return importLog({ ...options, post, input: createReadStream(FILE) })
    }
    // Verified with an independent Python script: a regular expression, a dictionary, and the results of isbot.
    t.match(await read(), {
      lines: 10_000,
      viewsCounted: 339,
      bots,
      repeats: 28,
      other: 9632 - bots,
      malformed: 1,
      postsCreated: 72,
    })
    for (let times = 0; times < 2; times++) {
      t.strictSame(Object.entries(await readTotals(db)).slice(0, 5), [
        ['ssl-latency', 54],
        ['installing-windows-8-consumer-preview', 37],
        ['xvfb-firefox', 28],
        ['debugging-java-performance', 20],
        ['mounting-partitions-within-a-disk-image-in-linux', 17],
      ])
      t.match(await read(), { viewsCounted: 0, viewsCountedBefore: 339 })
    }
  })
