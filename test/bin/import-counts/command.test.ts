import { join } from 'node:path'
import t from 'tap'
import { addPosts, readTotals } from '../../helpers/access-log.ts'
import { readAllCounters, runCounts } from '../../helpers/counter-exports.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const EXPORT = 'path,day,views\n/blog/a,2024-01-01,1200\n/blog/b,2024-01-02,3\n/blog/c,2024-01-02,4\n/x,2024-01-02,2\n'
const NEXT =
  "Try next, while the service runs: open http://127.0.0.1:3000, or curl 'http://127.0.0.1:3000/posts/popular?limit=5&days=0'\n"

t.test('an import says what it has counted, and how to take it back', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const directory = t.testdir({
    'counts.csv': EXPORT,
    'broken.csv': 'slug,day,views\na,2024-01-01,1200\nb,x,1\nb,9999-01-01,1\n',
  })
  const file = join(directory, 'counts.csv')
  t.strictSame(await runCounts(['import-counts', file, '--post', '/blog/'], { db }), {
    code: 0,
    stderr: '',
    closed: [true],
    stdout: `source             4   rows of counts, 2024-01-01 to 2024-01-02
views counted  1,203   of 2 posts
unknown posts      4   there are no posts with their slugs
other rows         1   without views of a post

The posts with the most views of this import:
  A (a)  1,200
  B (b)      3

Not in the database, with the most views:
  /blog/c  4

Create the missing posts with --create-posts.
This is import 1. To take it back: popular-posts import-counts --undo 1
${NEXT}`,
  })
  t.strictSame(await runCounts(['import-counts', '--post', '/blog/'], { db, stdin: EXPORT }), {
    code: 0,
    stderr: '',
    closed: [false],
    stdout: `source              4   rows of counts, 2024-01-01 to 2024-01-02
views counted       0
counted before  1,203   an earlier export of this source has as many
unknown posts       4   there are no posts with their slugs
other rows          1   without views of a post

Not in the database, with the most views:
  /blog/c  4

Create the missing posts with --create-posts.
Nothing is new: an export of another counter than counts needs a --source of its own.
`,
  })
  const other = await runCounts(['import-counts', join(directory, 'broken.csv'), '--source', 'two'], { db })
  t.match(other, {
    code: 1,
    closed: [false],
    stderr: `error: Nothing was counted: on 1 day of posts from 2024-01-01 to 2024-01-01 the export has 1,200 views, and the database has 1,200 of its own or of another source than two. Readers that both have counted would count twice. Leave these days out with --before 2024-01-01, or add the views with --anyway.\n`,
  })
  t.match(
    other.stdout,
    /future +1 .*\nbroken rows +1 +\S+broken\.csv, row 3: expected a day such as 2026-01-31, got "x"\n$/,
  )
  const args = ['--source', 'two', '--anyway', '--before', '2024-01-02', '--dry-run']
  const dry = await runCounts(['import-counts', file, ...args], { db })
  t.match(dry.stdout, /^Nothing was changed \(--dry-run\)\. An import would do this:\nsource/)
  t.match(dry.stdout, /views counted +1,200 +of 1 post\n.*left out +3 /s)
  t.match(dry.stdout, /Name the paths of posts with --post|A \(a\)/)
  const made = await runCounts(
    ['import-counts', file, '--post', '/blog/', '--create-posts', '--base-url', 'https://blog.example/'],
    { db },
  )
  t.match(made.stdout, /views counted +4 +of 1 post, 1 new post\n/)
  t.same(await readTotals(db), { a: 1200, c: 4, b: 3 })
  t.match(await runCounts(['import-counts', '--undo', '1'], { db }), {
    code: 0,
    closed: [true],
    stdout: 'Import 1 (counts) was taken back: 1,203 views.\n',
  })
  t.same(await readAllCounters(db), { c: '4', 'c 2024-01-02': '4' })
  t.match(await runCounts(['import-counts', '--undo', '1'], { db }), {
    code: 1,
    closed: [false],
    stderr: /^error: There is no import 1/,
  })
})

t.test('totals of posts with other views are named', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  await runCounts(['import-counts'], { db, stdin: 'slug,day,views\na,2024-01-01,2\n' })
  const { stdout } = await runCounts(['import-counts', '-', '--source', 'old'], {
    db,
    stdin: 'slug,total\na,10\nz,1\n',
  })
  t.match(
    stdout,
    /^source +2 +rows of old\nviews counted +10 +of 1 post\nwithout a day +10 +in lists of all time only\n/,
  )
  t.match(stdout, /1 post has a total in the export and other views in the database: they are added\./)
  t.match(
    stdout,
    'Name the paths of posts with --post, such as --post /blog/, and create missing posts with --create-posts.',
  )
  t.same(await readTotals(db), { a: 12 })
})

t.test('wrong arguments and files are one sentence, before the database is opened', async (t) => {
  const directory = t.testdir({ 'a.csv': 'slug,views\na,1\n', 'posts.csv': 'a,b\n' })
  const fails = async (message: RegExp, args: string[], isTTY = false) => {
    const { code, stderr, stdout } = await runCounts(['import-counts', ...args], { isTTY })
    t.equal(code, 1, stderr)
    t.match(stderr, message)
    t.equal(stdout, '')
  }
  const file = join(directory, 'a.csv')
  await fails(/^error: Expected an export: name its files, or pipe one in\.\n$/, [])
  await fails(/^error: Cannot open .*missing\.csv: ENOENT/, [join(directory, 'missing.csv')])
  await fails(/is a directory, expected a file/, [directory])
  await fails(/--undo takes an import back: it reads no file/, ['--undo', '1', file])
  await fails(/--base-url needs --create-posts/, [file, '--base-url', 'https://blog.example'])
  await fails(/--base-url needs the address of the blog/, [file, '--create-posts', '--base-url', 'blog'])
  await fails(/--before needs a day, such as 2026-01-31, got: 2026-02-30/, [file, '--before', '2026-02-30'])
  await fails(/--before needs a day, such as 2026-01-31, got: soon/, [file, '--before', 'soon'])
  await fails(/--time-zone needs the name of a time zone, such as Europe\/Berlin, got: Mars/, [
    file,
    '--time-zone',
    'Mars',
  ])
  await fails(/--post is neither/, [file, '--post', '('])
  await fails(/expected the columns id and slug, or ID and post_name/, [file, '--ids', join(directory, 'posts.csv')])
  await fails(/Allowed choices are popular-posts, plausible, umami/, [file, '--from', 'nothing'])
})

t.test('an export that cannot be read changes nothing', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const failed = await runCounts(['import-counts', '--time-zone', 'UTC', '--ids', 'same'], {
    db,
    stdin: '[{"slug":"a","views":1},{"sl',
  })
  t.match(failed, {
    code: 1,
    closed: [false],
    stdout: '',
    stderr: 'error: standard input: The JSON is cut off in the middle of a value.\n',
  })
  t.same(await readAllCounters(db), {})
  await db.destroy()
  await t.rejects(runCounts(['import-counts'], { db, stdin: 'slug,views\na,1\n' }), 'errors of the database are thrown')
})
