// `npm test`: starts one PostgreSQL and one Redis for all test files, then tap with the given arguments. Without a file
// it runs all tests except the slow ones. With `--all` (`npm run test:all`) it runs all tests, which must cover every
// line, branch and function.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../lib/errors.ts'
import { providePostgres } from '../test/helpers/postgres.ts'
import { provideRedis } from '../test/helpers/redis.ts'
import { findChromium } from '../test/helpers/services/find-chromium.ts'
import { removeAtExit } from '../test/helpers/services/reaper.ts'
import { summarize } from '../test/helpers/services/summarize.ts'
import { provideTap } from '../test/helpers/services/tap.ts'
import { SLOW } from './slow-tests.ts'

const ALL = '--all'

async function main(given: string[]): Promise<number> {
  const isDefaultRun = !given.includes(ALL) && !given.some((arg) => isTest(arg) || existsSync(arg))
  const args = isDefaultRun
    ? [...given, '--disable-coverage', ...(await defaultTests())]
    : given.filter((arg) => arg !== ALL)
  const [postgres, redis, program] = await Promise.all([
    providePostgres(),
    provideRedis(),
    provideTap(),
    provideChromium(args),
  ])
  say(`Node.js ${process.version}\n${postgres.description}\n${redis.description}`)
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-results-'))
  removeAtExit(directory)
  const results = join(directory, 'results.tap')
  const { DATABASE_URL: _database, REDIS_URL: _redis, ...env } = process.env
  const tap = spawn(process.execPath, [program, `--output-file=${results}`, ...reporter(args), ...args], {
    stdio: 'inherit',
    env: { ...env, TEST_DATABASE_URL: postgres.url, TEST_REDIS_URL: redis.url },
  })
  // The terminal sends Ctrl-C also to tap. The servers run until tap has ended.
  process.on('SIGINT', () => say('Waiting for tap to end'))
  process.on('SIGTERM', () => tap.kill('SIGTERM'))
  const [code] = (await once(tap, 'close')) as [number | null]
  const report = await readFile(results, 'utf8').catch(() => '')
  // Repeats the failures at the end, because tap prints them far above, and the name of what ran out of time.
  for (const line of report.split('\n')) if (/^ *(?:not ok (?!.*# (?:TODO|SKIP))|expired: )/i.test(line)) say(line)
  if (isDefaultRun)
    say(`Skipped: coverage, and ${SLOW.length} slow files (scripts/slow-tests.ts). Run them with npm run test:all.`)
  const summary = summarize(report)
  if (code !== 0 && summary.includes(' 0 failed'))
    say('Failed: the tests do not cover every line, branch and function.')
  say(summary)
  return code ?? 1
}

async function defaultTests(): Promise<string[]> {
  const files = (await readdir('test', { recursive: true })).map((file) => `test/${file}`)
  return files.filter((file) => file.endsWith('.test.ts') && !SLOW.includes(file))
}

function isTest(arg: string): boolean {
  return arg.includes('.test.')
}

/**
 * Downloads Chromium before the tests of the browser, because a download takes longer than the timeout of a test. When
 * the download fails, these tests report it.
 */
async function provideChromium(args: string[]): Promise<void> {
  const files = args.filter(isTest)
  if (files.length > 0 && !files.some((file) => file.includes('browser'))) return
  await findChromium({ say }).catch(() => undefined)
}

/** The default reporter of tap needs a terminal. */
function reporter(args: string[]): string[] {
  return process.stdout.isTTY || args.some((arg) => /^(-R|--reporter)/.test(arg)) ? [] : ['--reporter=terse']
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  say(messageOf(error))
  return 1
})
