// What `npm test` runs: one PostgreSQL and one Redis for all test files, then tap with the arguments given.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { messageOf } from '../db/startup-error.ts'
import { providePostgres } from './helpers/postgres.ts'
import { provideRedis } from './helpers/redis.ts'
import { removeWithUs } from './helpers/services/reaper.ts'
import { summarize } from './helpers/services/summarize.ts'

async function main(args: string[]): Promise<number> {
  const [postgres, redis] = await Promise.all([providePostgres(), provideRedis()])
  say(`Node.js ${process.version}\n${postgres.description}\n${redis.description}`)
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-results-'))
  removeWithUs(directory)
  const results = join(directory, 'results.tap')
  const coverage = join(directory, 'coverage')
  await mkdir(coverage)
  // Some tests run programs as other users, who write there too.
  for (const folder of [directory, coverage]) await chmod(folder, 0o777)
  const { DATABASE_URL: _database, REDIS_URL: _redis, ...env } = process.env
  const tap = spawn(process.execPath, [tapProgram(), `--output-file=${results}`, ...reporter(args), ...args], {
    stdio: 'inherit',
    env: {
      ...{ ...env, TEST_DATABASE_URL: postgres.url, TEST_REDIS_URL: redis.url },
      // Without it tsx leaves the source out of its source maps, and every file of tap's coverage is at 100 %.
      NODE_V8_COVERAGE: coverage,
    },
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

function tapProgram(): string {
  const entry = createRequire(import.meta.url).resolve('tap/package.json')
  return join(dirname(entry), 'dist', 'esm', 'run.mjs')
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
