// What `npm test` runs: one PostgreSQL and one Redis for all test files, then tap with the arguments given.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../db/startup-error.ts'
import { providePostgres } from './helpers/postgres.ts'
import { provideRedis } from './helpers/redis.ts'
import { findChromium } from './helpers/services/find-chromium.ts'
import { removeWithUs } from './helpers/services/reaper.ts'
import { summarize } from './helpers/services/summarize.ts'
import { provideTap } from './helpers/services/tap.ts'

async function main(args: string[]): Promise<number> {
  const [postgres, redis, program] = await Promise.all([
    providePostgres(),
    provideRedis(),
    provideTap(),
    provideChromium(args),
  ])
  say(`Node.js ${process.version}\n${postgres.description}\n${redis.description}`)
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-results-'))
  removeWithUs(directory)
  const results = join(directory, 'results.tap')
  const { DATABASE_URL: _database, REDIS_URL: _redis, ...env } = process.env
  const tap = spawn(process.execPath, [program, `--output-file=${results}`, ...reporter(args), ...args], {
    stdio: 'inherit',
    env: { ...env, TEST_DATABASE_URL: postgres.url, TEST_REDIS_URL: redis.url },
  })
  // Ctrl-C reaches tap from the terminal itself. The servers stay until tap has ended, and end with us.
  process.on('SIGINT', () => say('ending'))
  process.on('SIGTERM', () => tap.kill('SIGTERM'))
  const [code] = (await once(tap, 'close')) as [number | null]
  const report = await readFile(results, 'utf8').catch(() => '')
  // tap's own account of a failure may be far up, or lost when nobody watches.
  for (const line of report.split('\n')) if (/^ *not ok (?!.*# (?:TODO|SKIP))/i.test(line)) say(line)
  say(summarize(report))
  return code ?? 1
}

/** Has Chromium at hand where it is needed: a download takes longer than a test may. Its absence is for the tests to tell. */
async function provideChromium(args: string[]): Promise<void> {
  const files = args.filter((arg) => arg.includes('.test.'))
  if (files.length > 0 && !files.some((file) => file.includes('browser'))) return
  await findChromium({ say }).catch(() => undefined)
}

/** The moving display is for people only. */
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
