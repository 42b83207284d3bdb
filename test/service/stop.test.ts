import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { freePort, stopServer } from '../../db/embedded/server.ts'
import { dataOf } from '../helpers/embedded.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { type Program, runProgram } from '../helpers/program.ts'
import { startRedis } from '../helpers/redis.ts'
import { command, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

/** The service ends within 5 s; the start of a process on a busy machine takes a few more. */
const ENDS_MS = 8_000

async function ends(t: Test, { child, ended, stderr }: Program, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const startedAtMs = performance.now()
  child.kill(signal)
  const code = await ended()
  const tookMs = Math.round(performance.now() - startedAtMs)
  t.equal(code, 0, `exit code ${stderr()}`)
  t.ok(tookMs < ENDS_MS, `it ends after ${tookMs} ms`)
}

t.test('SIGTERM ends the service with code 0, also while PostgreSQL and Redis do not reply', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.remove())
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  t.equal(await command(t, ['migrate'], { DATABASE_URL: postgres.url }).ended(), 0)

  await t.test('all is well; each signal', async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
      await ends(t, await startService(t, { DATABASE_URL: postgres.url, REDIS_URL: redis.url }), signal)
  })

  await t.test('PostgreSQL is silent, Redis is frozen; requests are in flight; the signal comes twice', async (t) => {
    const wire = await startProxy(t, postgres.port)
    const env = { DATABASE_URL: `postgres://postgres@127.0.0.1:${wire.port}/postgres`, REDIS_URL: redis.url }
    const service = await startService(t, env)
    const { port } = new URL(service.address)
    wire.silence()
    await redis.kill('SIGSTOP')
    const reading = fetch(`${service.address}/posts/popular?days=9`).then(
      () => {},
      () => {},
    )
    // A client that sends half of a request.
    const slow = connect(Number(port), '127.0.0.1').on('error', () => {})
    slow.write('POST /posts/a/views HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n')
    await sleep(300)
    const ending = ends(t, service)
    await sleep(100)
    service.child.kill('SIGTERM')
    await ending
    await reading
    slow.destroy()
    await redis.kill('SIGCONT')
  })

  await t.test('PostgreSQL is frozen', async (t) => {
    const service = await startService(t, { DATABASE_URL: postgres.url })
    await postgres.kill('SIGSTOP')
    await ends(t, service)
    await postgres.kill('SIGCONT')
  })
})

t.test('SIGTERM ends a service that starts', async (t) => {
  const wire = await startProxy(t, await freePort())
  wire.silence()
  const starting = runProgram(t, 'server.ts', {
    env: { DATABASE_URL: `postgres://postgres@127.0.0.1:${wire.port}/postgres` },
  })
  await until(() => wire.silenced() > 0, 'it connects')
  await ends(t, starting)

  await t.test('with the embedded database, at any time', async (t) => {
    for (const step of ['PG_VERSION', 'postmaster.pid', 'greeting'] as const) {
      const directory = join(await temporaryDirectory(t), 'data')
      const service = runProgram(t, 'server.ts', { env: { DATA_DIR: directory, PORT: '0' } })
      t.teardown(() => stopServer(dataOf(directory)))
      const hasCome = () => (step === 'greeting' ? service.stdout() !== '' : existsSync(join(dataOf(directory), step)))
      await until(() => hasCome() || service.child.exitCode !== null, step)
      await ends(t, service)
    }
  })
})
