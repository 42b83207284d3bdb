import { Client } from 'pg'
import t from 'tap'
import { startPostgres } from '../helpers/private-postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { ENDINGS, restartDuringQueries } from '../helpers/restart-postgres.ts'
import { command, expectStartError, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'

const endings = Object.keys(ENDINGS) as (keyof typeof ENDINGS)[]
const line = (number: number) =>
  `192.0.2.${number % 250} - - [17/May/2015:10:05:03 +0000] "GET /blog/post-${number} HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux) Firefox/129.0"\n`
const IMPORT = ['import-log', '--post', '^/blog/(?<slug>[^/]+)$', '--create-posts']

async function migrated(t: Parameters<typeof command>[0]) {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const env = { DATABASE_URL: server.url }
  const migrate = command(t, ['migrate'], env)
  t.equal(await migrate.ended(), 0, migrate.stderr())
  return { server, env }
}

t.test('the service survives restarts of PostgreSQL', async (t) => {
  const { server, env } = await migrated(t)
  const service = await startService(t, env)
  let days = 100
  for (const ending of endings) {
    days += 1
    await restartDuringQueries(server, ending, [
      { url: server.url, read: () => fetch(`${service.address}/posts/popular?days=${days}`) },
    ])
    days += 1
    await until(
      async () => (await fetch(`${service.address}/posts/popular?days=${days}`)).ok,
      `it answers after a restart: ${ending}`,
    )
  }
  t.equal(service.child.exitCode, null)
})

t.test('PostgreSQL restarts during an import: one sentence, and the next import counts the rest', async (t) => {
  const { server, env } = await migrated(t)
  const log = Array.from({ length: 10_001 }, (_, number) => line(number)).join('')
  for (const ending of endings) {
    const importing = runProgram(t, 'bin/popular-posts.ts', { args: IMPORT, env, input: log })
    // The statement of the import waits.
    await restartDuringQueries(server, ending, [{ url: server.url, read: async () => undefined }])
    await expectStartError(
      t,
      importing,
      /^PostgreSQL ended the connection( \((57P0[12]|ECONNRESET|EPIPE)\))?: .* try again\.\n$/,
    )
  }
  const again = runProgram(t, 'bin/popular-posts.ts', { args: IMPORT, env, input: log })
  t.equal(await again.ended(), 0, again.stderr())
  const client = new Client({ connectionString: server.url })
  await client.connect()
  const { rows } = await client.query('select sum(views)::int as views from post_views_total')
  await client.end()
  t.same(rows, [{ views: 10_001 }])
})
