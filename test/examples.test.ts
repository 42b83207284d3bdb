import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import t from 'tap'
import type { PopularPost } from '../index.ts'
import { checkOut, plainEnvironment, runIn } from './helpers/checkout.ts'
import { startPostgres } from './helpers/private-postgres.ts'
import { startRedis } from './helpers/redis.ts'
import { restartDuringQueries } from './helpers/restart-postgres.ts'
import { withDatabase } from './helpers/services/template-database.ts'
import { until } from './helpers/services/until.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }

/** The commands in the README of an example. */
function commandsOf(example: string): string[] {
  const readme = readFileSync(join(root, 'examples', example, 'README.md'), 'utf8')
  return [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, code = '']) => code.trim().split('\n'))
}

const checkout = await checkOut(t)
await runIn(checkout, 'npm', 'run', 'build')

const server = await startPostgres()
t.teardown(() => server.remove())

/** The running apps, which run until this file ends. */
const apps: { name: string; databaseUrl: string; list: string }[] = []

async function createDatabase(name: string): Promise<string> {
  const admin = new Client({ connectionString: server.url })
  await admin.connect()
  await admin.query(`create database "${name}"`)
  await admin.end()
  return withDatabase(server.url, name)
}

/**
 * Runs the commands in the README of an example, with private servers.
 * @param prefix the prefix of its routes.
 * @returns the address of its app, the replies to its `curl` commands, and its database URL.
 */
async function follow(example: string, prefix = '') {
  const url = await createDatabase(example)
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const variables: Record<string, string> = { PORT: '0' }
  const answers: { command: string; status: number; body: string }[] = []
  let address = ''
  for (const command of commandsOf(example)) {
    const [, name = '', options = ''] = /^export (\w+)='?[^?]*?(\?[^']*)?'?$/.exec(command) ?? []
    const [, method = 'GET', target = ''] =
      /^curl (?:-X (\w+) )?'http:\/\/127\.0\.0\.1:3000([^']+)'$/.exec(command) ?? []
    if (name !== '') variables[name] = name === 'REDIS_URL' ? redis.url : url + options
    else if (/^node examples\/[\w-]+\/app\.js$/.test(command)) address = await start(command, variables)
    else if (target !== '') {
      const response = await fetch(address + target, { method, headers: READER })
      answers.push({ command, status: response.status, body: await response.text() })
    } else {
      t.match(command, /^(?:npx popular-posts|node examples)/, `${command} is one that is known here`)
      await runIn(
        checkout,
        'env',
        ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
        'sh',
        '-c',
        command,
      )
    }
  }
  const databaseUrl = variables['DATABASE_URL'] ?? ''
  apps.push({ name: example, databaseUrl, list: `${address}${prefix}/posts/popular` })
  return { address, answers, databaseUrl }
}

/** Starts an app. Resolves to its address. The app ends with this file, as by Ctrl-C. */
async function start(command: string, variables: Record<string, string>): Promise<string> {
  const [program = '', ...args] = command.split(' ')
  const app = spawn('env', [...plainEnvironment(variables), program, ...args], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    app.kill('SIGINT')
    await until(() => app.exitCode !== null || app.signalCode !== null, 'the app ended')
  })
  let said = ''
  app.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const listening = () => /Server listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
  await until(() => {
    if (app.exitCode !== null) throw new Error(`${command} ended: ${said}`)
    return listening() !== undefined
  }, `${command} listens`)
  return listening() ?? ''
}

const listOf = async (url: string) => (await (await fetch(url)).json()) as PopularPost[]

t.test('the smallest example app works', async (t) => {
  const { address, answers } = await follow('smallest')
  t.match(answers, [
    { status: 200, body: /^\[\{"id":"\d+","slug":"/ },
    { status: 200, body: /^\[\{/ },
  ])
  t.equal((await fetch(`${address}/posts/goat-has-my-map/views`, { method: 'POST', headers: READER })).status, 204)
  const code = readFileSync(join(root, 'examples/smallest/app.js'), 'utf8')
  t.ok(code.trim().split('\n').length <= 16, 'it is as small as it says')
})

t.test('the example with server-rendered pages works', async (t) => {
  const { address, answers, databaseUrl } = await follow('blog', '/api')
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  t.teardown(() => client.end())
  const [home, post] = answers
  t.match(home, {
    status: 200,
    body: /<h1>The newest posts<\/h1>[\s\S]*Popular this week[\s\S]*<li><a href="\/posts\/[^"]+">/,
  })
  t.match(post, { status: 200, body: /<h1>A goat has eaten my map/ })
  t.notMatch(post?.body.replace(/[\s\S]*<aside>/, ''), 'goat-has-my-map', 'the sidebar leaves out what is being read')
  const views = async () =>
    (await client.query("select views from post_views_total join posts on id = post_id where slug = 'goat-has-my-map'"))
      .rows[0].views
  const before = Number(await views())
  await fetch(`${address}/posts/goat-has-my-map`, { headers: { 'user-agent': `${READER['user-agent']} another` } })
  await until(async () => Number(await views()) > before, 'the view of the page is counted')
  t.equal((await fetch(`${address}/posts/none`)).status, 404)
  t.match(await listOf(`${address}/api/posts/popular?limit=1`), [{ slug: String }], 'the routes have the prefix')
})

t.test('the example with its own tables works', async (t) => {
  const { address, answers } = await follow('own-schema')
  const [list, published] = answers
  t.same(
    (JSON.parse(list?.body ?? '') as PopularPost[]).map(({ slug }) => slug).sort(),
    ['border-cafe', 'night-train'],
    'drafts are not listed',
  )
  t.equal(published?.status, 204)
  await until(
    async () => (await listOf(`${address}/posts/popular?days=0`)).some(({ slug }) => slug === 'late-edition'),
    'what was published is in the list',
  )
  t.equal((await fetch(`${address}/magazine/articles/none/publish`, { method: 'POST' })).status, 404)
})

t.test('the apps of the examples and of README survive restarts of PostgreSQL', async (t) => {
  const databaseUrl = await createDatabase('readme')
  await runIn(checkout, 'env', `DATABASE_URL=${databaseUrl}`, 'npx', 'popular-posts', 'migrate')
  const [, program = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  const says = "console.log('Server listening at ' + app.listeningOrigin)"
  await writeFile(join(checkout, 'readme.mjs'), `${program.replace('port: 3000', 'port: 0')}${says}`)
  const address = await start('node readme.mjs', { DATABASE_URL: databaseUrl })
  apps.push({ name: 'README', databaseUrl, list: `${address}/posts/popular` })
  t.equal(apps.length, 4)

  let days = 100
  for (const ending of ['fast', 'immediate', 'crash'] as const) {
    // A list that is not cached, here and below.
    days += 1
    const readers = apps.map(({ databaseUrl, list }) => ({
      url: databaseUrl,
      read: () => fetch(`${list}?days=${days}`),
    }))
    await restartDuringQueries(server, ending, readers)
    for (const { name, list } of apps) {
      days += 1
      await until(async () => (await fetch(`${list}?days=${days}`)).ok, `${name} answers after a restart: ${ending}`)
    }
  }
})

t.test('every example is in the list of examples, and has a test here', async (t) => {
  const examples = readdirSync(join(root, 'examples')).filter((name) => !name.includes('.'))
  // Those of frameworks are in test/frameworks.test.ts.
  t.same(examples.sort(), ['blog', 'frameworks', 'own-schema', 'smallest'])
  const index = readFileSync(join(root, 'examples/README.md'), 'utf8')
  for (const name of examples) t.match(index, `${name}/README.md`)
})
