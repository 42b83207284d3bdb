import { join } from 'node:path'
import t from 'tap'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { command, expectStartError, getPosts, startService } from '../helpers/service.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

t.test('without a database the service starts a demo blog on an embedded database, kept across restarts', async (t) => {
  const env = { DATA_DIR: join(await temporaryDirectory(t), 'data') }
  const first = await startService(t, env)
  const greeting = first.stdout()
  t.match(
    greeting,
    /^\n {2}Popular posts of a demo blog, on http:\/\/127\.0\.0\.1:\d+\n {2}Data: 60 posts in an embedded PostgreSQL in /,
  )
  t.equal(greeting.match(/^ {4}(curl|npx) /gm)?.length, 3, 'three commands to try next')
  for (const [, url] of greeting.matchAll(/curl '([^']+)'/g)) t.equal((await fetch(`${url}`)).status, 200, `${url}`)
  const posts = await getPosts(first.address, '?limit=50&days=0')
  t.equal(posts.length, 50)
  t.equal(await first.stop(), 0)
  t.equal(first.stderr(), '')

  const second = await startService(t, env)
  t.same(await getPosts(second.address, '?limit=50&days=0'), posts, 'the same blog, filled once')
  t.equal(await second.stop(), 0)
})

t.test('SITE=false leaves the API and the script of the element', async (t) => {
  const { url } = await createTestDatabase(t)
  const { address, stdout } = await startService(t, { DATABASE_URL: url, SITE: 'false', DAYS: '30,0' })
  t.match(stdout(), /\n {2}Try next:\n/)
  t.match(stdout(), /popular\?limit=5&days=30'/, 'a window that readers may request')
  const statuses = { '/': 404, '/posts/x': 404, '/demo/stats': 404, '/site.css': 404, '/popular-posts.js': 200 }
  for (const [path, status] of Object.entries({ ...statuses, '/posts/popular': 200, '/docs': 200, '/metrics': 200 })) {
    const response = await fetch(address + path, { headers: { accept: 'text/html' } })
    t.equal(response.status, status, path)
    if (status === 404) t.match(await response.json(), { code: 'PP_NOT_FOUND' }, path)
  }
})

t.test('with a PostgreSQL server the tables are created by command, and the demo only by option', async (t) => {
  const { url, pool } = await createTestDatabase(t, { migrate: false })
  const env = { DATABASE_URL: url }
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env }),
    /lacks tables .*: run "npx popular-posts migrate", then start again\.$/m,
  )
  const migrate = async () => {
    const program = command(t, ['migrate'], env)
    t.equal(await program.ended(), 0, program.stderr())
    return program.stdout()
  }
  t.equal(await migrate(), 'The tables were created.\n')
  t.equal(await migrate(), 'The tables are up to date.\n')
  await pool.query("delete from popular_posts_migration where name = '030-filter-indexes'")
  t.equal(await migrate(), 'The tables were updated.\n')

  const service = await startService(t, { ...env, LOG_LEVEL: 'debug' })
  t.match(service.stdout(), 'Data: 0 posts in the PostgreSQL in DATABASE_URL')
  t.same(await getPosts(service.address), [])
  t.equal((await fetch(`${service.address}/nowhere`)).status, 404)
  await service.says(
    /"req":\{"method":"GET","url":"\/nowhere"\},"statusCode":404,"durationMs":[\d.]+,"msg":"request completed"/,
  )
  t.notMatch(service.stdout(), /remoteAddress|postgres:\/\//, 'no client is named, no secret told')
  for (const said of ['The demo blog was added.\n', /^Nothing was changed/]) {
    const demo = command(t, ['demo'], env)
    t.equal(await demo.ended(), 0, demo.stderr())
    t.match(demo.stdout(), said)
  }
  t.equal(await service.stop(), 0)
})

t.test('one error names all wrong variables', async (t) => {
  for (const program of [
    runProgram(t, 'server.ts', { env: { PORT: 'x', LOG_LEVEL: 'y' } }),
    command(t, ['migrate'], { PORT: 'x', LOG_LEVEL: 'y' }),
  ]) {
    t.equal(await program.ended(), 1)
    t.match(program.stderr(), /^The environment is not usable:\n {2}PORT: .*\n {2}LOG_LEVEL: .*\n$/)
  }
})

t.test('the command line prints its help', async (t) => {
  const help = command(t, ['--help'], {})
  t.equal(await help.ended(), 0)
  t.match(help.stdout(), /migrate[\s\S]*demo[\s\S]*invalidate[\s\S]*import-log/)
  const version = command(t, ['--version'], {})
  t.equal(await version.ended(), 0)
  t.match(version.stdout(), /^\d+\.\d+\.\d+\n$/)
  const unknown = command(t, ['fly'], {})
  t.equal(await unknown.ended(), 1)
  t.match(unknown.stderr(), /unknown command 'fly'/)
})
