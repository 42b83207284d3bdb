/**
 * Measures the cold start of the artifact, against a bare Fastify with the same clients, bundled the same way. Neither
 * has a database: both start without one. `npm run bench:lambda`; `-- --rounds 15 --write`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { BUILD_OPTIONS } from '../bundle/build-options.ts'
import { createReport } from './report.ts'
import { median, medianRatio } from './rounds.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, write: { type: 'boolean', default: false } },
})
const report = createReport('bench:lambda', values)

/** A minimal service: Fastify, a pool, a Redis client, and one route. */
const BARE = `
  import awsLambdaFastify from '@fastify/aws-lambda'
  import Fastify from 'fastify'
  import { Redis } from 'ioredis'
  import { Kysely, PostgresDialect } from 'kysely'
  import pg from 'pg'
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
  const db = new Kysely({ dialect: new PostgresDialect({ pool }) })
  const redis = new Redis(process.env.REDIS_URL, { lazyConnect: true })
  redis.on('error', () => {})
  await redis.connect().catch(() => {})
  const app = Fastify()
  const querystring = { type: 'object', properties: { limit: { type: 'integer' }, days: { type: 'integer' } } }
  app.get('/posts/popular', { schema: { querystring } }, async () => db.selectFrom('posts').selectAll().execute())
  const proxy = awsLambdaFastify(app, { decorateRequest: false })
  await app.ready()
  export const http = (event, context) => proxy(event, context)`

/** Starts a module in its own process. Resolves to the milliseconds of processor time until the module is ready. */
async function start(file: string): Promise<number> {
  const code = `const start = process.cpuUsage(); await import(${JSON.stringify(file)}); const { user, system } = process.cpuUsage(start); console.log((user + system) / 1000); process.exit()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    env: {
      // Nothing listens on this port: connections are refused at once.
      DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
      REDIS_URL: 'redis://127.0.0.1:9',
      LOG_LEVEL: 'silent',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(child, 'close')
  return Number(output)
}

const directory = await mkdtemp(join(tmpdir(), 'popular-posts-bench-'))
try {
  await import('../bundle/bundle.ts')
  const [source, bare] = [join(root, 'bench', '.bare.mjs'), join(directory, 'bare.mjs')]
  await writeFile(source, BARE)
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [source],
      outfile: bare,
      ...BUILD_OPTIONS,
    })
  } finally {
    await rm(source)
  }
  const subjects = { 'popular posts': join(root, 'build', 'lambda', 'lambda.mjs'), 'bare Fastify': bare }
  const times: Record<string, number[]> = { 'popular posts': [], 'bare Fastify': [] }
  for (let round = -1; round < Number(values.rounds); round += 1) {
    report.progress(`round ${round + 1} of ${values.rounds}`)
    for (const [name, file] of Object.entries(subjects)) {
      const ms = await start(file)
      // The first round warms the disk cache.
      if (round >= 0) times[name]?.push(ms)
    }
  }
  const rows = [['', 'processor time until it is ready', 'bundle', 'zipped']]
  for (const [name, file] of Object.entries(subjects)) {
    const bytes = await readFile(file)
    const [size, zipped] = [bytes.byteLength, gzipSync(bytes).byteLength].map(
      (count) => `${(count / 1e6).toFixed(2)} MB`,
    )
    rows.push([name, `${median(times[name] ?? []).toFixed(0)} ms`, String(size), String(zipped)])
  }
  report.table(rows)
  const ratio = medianRatio(times['popular posts'] ?? [], times['bare Fastify'] ?? [])
  report.say(`Ratio of these times, first to second, median of ${values.rounds} rounds in turn: ${ratio.toFixed(2)}.`)
  report.end()
} finally {
  await rm(directory, { recursive: true, force: true })
}
