import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { openEmbeddedDatabase } from '../db/embedded/database.ts'
import type { PopularPost } from '../index.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { type Program, runProgram } from './helpers/program.ts'
import { until } from './helpers/services/until.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

/** Starts the service on a free port; answers it with its address. */
async function startService(t: Test, env: NodeJS.ProcessEnv): Promise<Program & { address: string }> {
  const service = runProgram(t, 'server.ts', { env: { PORT: '0', ...env } })
  const [, address = ''] = await service.says(/(http:\/\/127\.0\.0\.1:\d+)/)
  return { ...service, address }
}

const command = (t: Test, args: string[], env: NodeJS.ProcessEnv) =>
  runProgram(t, 'bin/popular-posts.ts', { args, env })

async function getPosts(address: string, query = ''): Promise<PopularPost[]> {
  const response = await fetch(`${address}/posts/popular${query}`)
  return (await response.json()) as PopularPost[]
}

/** Waits for a program that cannot start, and checks how it says so. */
async function failsWith(t: Test, program: Program, sentence: RegExp): Promise<void> {
  t.equal(await program.ended(), 1, 'exit code')
  t.match(program.stderr(), sentence)
  t.equal(program.stderr().trim().split('\n').length, 1, `one sentence: ${program.stderr()}`)
  t.notMatch(program.stdout() + program.stderr(), /\n\s+at |node:internal/, 'no stack')
}

t.test('with nothing but a folder: a demo blog on an embedded database, kept across restarts', async (t) => {
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

t.test('a real log takes the place of the demo, while the service runs and after a restart', async (t) => {
  const directory = await temporaryDirectory(t)
  const env = { DATA_DIR: join(directory, 'data') }
  const log = join(directory, 'access.log')
  const line = (slug: string, address: string) =>
    `${address} - - [17/May/2015:10:05:03 +0000] "GET /blog/${slug} HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:29.0) Gecko/20100101 Firefox/29.0"\n`
  await writeFile(log, line('first', '192.0.2.1') + line('second', '192.0.2.1') + line('first', '192.0.2.2'))
  const slugs = async (address: string) =>
    (await getPosts(address, '?days=0')).map(({ slug, views }) => `${slug} ${views}`)

  const service = await startService(t, env)
  t.equal((await getPosts(service.address)).length, 10)
  const importing = command(t, ['import-log', log, '--post', '^/blog/(?<slug>[^/]+)$', '--create-posts'], env)
  t.equal(await importing.ended(), 0, importing.stderr())
  t.match(importing.stderr(), 'The demo blog (63 posts) makes room for yours.')
  await until(
    async () => (await slugs(service.address)).join() === 'first 2,second 1',
    'the service shows the imported blog',
  )
  await service.stop()

  const again = await startService(t, env)
  t.match(again.stdout(), /Popular posts of your blog.*\n.*2 posts/)
  t.same(await slugs(again.address), ['first 2', 'second 1'])
})

t.test('on a real server: tables by command, no demo unless asked for', async (t) => {
  const { url } = await createTestDatabase(t, { migrate: false })
  const env = { DATABASE_URL: url }
  await failsWith(
    t,
    runProgram(t, 'server.ts', { env }),
    /lacks tables .*: run "npx popular-posts migrate", then start again\.$/m,
  )
  const migrate = command(t, ['migrate'], env)
  t.equal(await migrate.ended(), 0, migrate.stderr())
  t.equal(migrate.stdout(), 'The tables are up to date.\n')

  const service = await startService(t, { ...env, LOG_LEVEL: 'debug' })
  t.match(service.stdout(), 'Data: 0 posts in the PostgreSQL in DATABASE_URL')
  t.same(await getPosts(service.address), [])
  t.equal((await fetch(`${service.address}/nowhere`)).status, 404)
  await service.says(
    /"req":\{"method":"GET","url":"\/nowhere"\},"statusCode":404,"durationMs":[\d.]+,"msg":"request completed"/,
  )
  t.notMatch(service.stdout(), /remoteAddress|postgres:\/\//, 'no client is named, no secret told')
  for (const said of ['The demo blog is in.\n', /^Nothing was changed/]) {
    const demo = command(t, ['demo'], env)
    t.equal(await demo.ended(), 0, demo.stderr())
    t.match(demo.stdout(), said)
  }
  t.equal(await service.stop(), 0)
})

t.test('what keeps the service from starting is one sentence', async (t) => {
  const directory = await temporaryDirectory(t)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const env = { DATA_DIR: join(directory, 'data'), PORT: '0' }
  await failsWith(
    t,
    runProgram(t, 'server.ts', { env: { ...env, PORT: String(port) } }),
    new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken`),
  )
  await failsWith(
    t,
    runProgram(t, 'server.ts', { env: { ...env, HOST: '192.0.2.1' } }),
    /^HOST 192\.0\.2\.1 is not an address of this machine/,
  )
  await failsWith(
    t,
    runProgram(t, 'server.ts', { env: { ...env, HOST: 'nowhere.invalid' } }),
    /^HOST nowhere\.invalid is not an address of this machine/,
  )
  const file = join(directory, 'file')
  await writeFile(file, '')
  await failsWith(t, runProgram(t, 'server.ts', { env: { ...env, DATA_DIR: file } }), /file/)
  const unreachable = runProgram(t, 'server.ts', { env: { DATABASE_URL: 'postgres://admin:secret@127.0.0.1:9/blog' } })
  await failsWith(t, unreachable, /^The database in DATABASE_URL could not be used \(ECONNREFUSED\)/)
  t.notMatch(unreachable.stderr(), /secret|admin|127\.0\.0\.1:9/)
  const silent = createServer((socket) => socket.on('data', () => socket.end())).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const { port: silentPort } = silent.address() as { port: number }
  await failsWith(
    t,
    runProgram(t, 'server.ts', { env: { DATABASE_URL: `postgres://127.0.0.1:${silentPort}/blog` } }),
    /^The database in DATABASE_URL could not be used \(the connection ended\)/,
  )
})

t.test('an embedded database that holds something else is left alone', async (t) => {
  const env = { DATA_DIR: join(await temporaryDirectory(t), 'data'), PORT: '0' }
  const { connectionString, close } = await openEmbeddedDatabase({ directory: env.DATA_DIR })
  const client = new Client({ connectionString })
  await client.connect()
  await client.query('create table posts (mine text)')
  await client.end()
  await failsWith(
    t,
    runProgram(t, 'server.ts', { env }),
    /^The embedded database in DATA_DIR could not be used \(42P07\)/,
  )
  await close()
})

t.test('all that is wrong with the environment is told at once', async (t) => {
  for (const program of [
    runProgram(t, 'server.ts', { env: { PORT: 'x', LOG_LEVEL: 'y' } }),
    command(t, ['migrate'], { PORT: 'x', LOG_LEVEL: 'y' }),
  ]) {
    t.equal(await program.ended(), 1)
    t.match(program.stderr(), /^The environment is not usable:\n {2}PORT: .*\n {2}LOG_LEVEL: .*\n$/)
  }
})

t.test('the command line explains itself', async (t) => {
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
