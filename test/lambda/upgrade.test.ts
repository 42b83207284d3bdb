import { execFile, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import popularPosts from '../../index.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const script = fileURLToPath(new URL('../../scripts/upgrade.js', import.meta.url))

/** Runs the script with a program called osls that writes down its arguments, and fails at this step. */
async function upgrade(directory: string, failing: string, piped = '') {
  const calls = join(directory, 'calls')
  await writeFile(calls, '')
  const osls = `#!/bin/sh\necho "$@" $(cat) >> '${calls}'\ncase "$*" in ${failing}) exit 7;; esac\n`
  await writeFile(join(directory, 'osls'), osls, { mode: 0o755 })
  const PATH = [directory, dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter)
  const code = await new Promise((resolve) => {
    const child = execFile(process.execPath, [script, '--stage', 'prod'], { env: { PATH } })
    child.once('close', resolve)
    child.stdin?.end(piped)
  })
  return { code, calls: (await readFile(calls, 'utf8')).trim().split('\n') }
}

t.test('an upgrade migrates before the functions change, and stops at the first failure', async (t) => {
  const directory = await temporaryDirectory(t)
  const steps = [
    'deploy function --function migrate --stage prod',
    'invoke --function migrate --stage prod',
    'deploy --stage prod',
  ]
  t.same(await upgrade(directory, 'nothing'), { code: 0, calls: steps })
  t.same(await upgrade(directory, '"deploy function"*'), { code: 7, calls: steps.slice(0, 1) })
  t.same(await upgrade(directory, 'invoke*'), { code: 7, calls: steps.slice(0, 2) }, 'the old functions keep running')
  t.same(await upgrade(directory, '"deploy --stage"*'), { code: 7, calls: steps })
  const piped = await upgrade(directory, 'nothing', '{"password":"1"}')
  t.same(piped.calls, [steps[0], `${steps[1]} {"password":"1"}`, steps[2]], 'migrate gets what is piped in')
  const missing = spawnSync(process.execPath, [script], { env: { PATH: '/nowhere' }, encoding: 'utf8' })
  t.match(missing, { status: 1, stderr: /^osls cannot be run \(.*ENOENT\): run npm install\.\n$/ })
})

t.test('a new version on an older schema says once what to do', async (t) => {
  const older = async (sql: string, migrate = true) => {
    const { url, pool } = await createTestDatabase(t, { migrate })
    await pool.query(sql)
    return url
  }
  const databases = {
    'no tables': await older('select 1', false),
    'a table is missing': await older('drop table post_views_window cascade'),
    'a column is missing': await older('alter table posts drop column published_at cascade'),
  }
  for (const [name, databaseUrl] of Object.entries(databases)) {
    const lines: { level: number; msg: string; err?: object }[] = []
    const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const app = Fastify({ logger: { level: 'warn', stream } })
    await app.register(popularPosts, { databaseUrl, backgroundWork: false })
    for (const path of ['/posts/popular', '/posts/popular?days=7', '/categories?days=1']) await app.inject(path)
    const hints = lines.filter(({ msg }) => msg.includes('invoke the Lambda function migrate'))
    t.equal(hints.length, 1, name)
    t.match(hints[0], { err: { code: /^42/ } }, name)
    await app.close()
  }
})
