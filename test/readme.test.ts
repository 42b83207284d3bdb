import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { checkOut, plainEnvironment, runIn } from './helpers/checkout.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { until } from './helpers/services/until.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = (text: string, language: string) =>
  [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].filter(([, name]) => name === language).map(([, , code = '']) => code)
const commands = (text: string) => blocks(text, 'sh').flatMap((block) => block.trim().split('\n'))

async function getList(url: string): Promise<{ slug: string }[]> {
  return (await (await fetch(url)).json()) as { slug: string }[]
}

const checkout = await checkOut(t)

t.test('the commands of the README work in a checkout', async (t) => {
  const [install, start, ...others] = commands(readme)
  t.same([install, start], ['npm install', 'npm start'], 'these two come first')
  t.ok(existsSync(join(checkout, 'node_modules')), 'installed')

  const line = (slug: string) =>
    `192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/${slug} HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux) Firefox/129.0"\n`
  await writeFile(join(checkout, 'access.log'), line('hello') + line('world'))
  const service = spawn('env', [...plainEnvironment({ PORT: '0' }), 'npm', 'start'], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  t.teardown(async () => {
    // npm and its child processes.
    process.kill(-Number(service.pid), 'SIGTERM')
    await until(() => service.exitCode !== null || service.signalCode !== null, 'the service ended')
  })
  let said = ''
  service.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until(() => /on (http:\/\/127\.0\.0\.1:\d+)/.test(said), 'the service greets', 60_000)
  const address = /on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1] ?? ''
  t.match(said, 'Data: 60 posts in an embedded PostgreSQL in ./data')

  const tried = []
  for (const command of others) {
    // test/install.test.ts tests installations.
    if (/^np(m install|x) fastify-popular-posts /.test(command)) continue
    const test = /^npm test -- (\S+) --disable-coverage$/.exec(command)
    if (test !== null) {
      t.ok(existsSync(join(root, String(test[1]))), `${command}: this suite runs it`)
      continue
    }
    tried.push(command.split(' ')[0])
    const [, url] = /^curl '([^']+)'$/.exec(command) ?? []
    // curl may be missing on this machine.
    if (url !== undefined) t.ok((await getList(url.replace('http://127.0.0.1:3000', address))).length > 0, command)
    else t.match(await runIn(checkout, 'sh', '-c', command), /views counted +2 /, command)
  }
  t.same(tried, ['curl', 'curl', 'npx'])
  await until(
    async () => (await getList(`${address}/posts/popular?days=0`)).some(({ slug }) => slug === 'world'),
    'the imported posts are served',
  )
})

t.test('the program in the README works', async (t) => {
  // Usually `npm start` has built it.
  if (!existsSync(join(checkout, 'dist'))) await runIn(checkout, 'npm', 'run', 'build')
  const { url } = await createTestDatabase(t)
  const [code = ''] = blocks(readme, 'js')
  await writeFile(
    join(checkout, 'example.mjs'),
    `${code.replace('port: 3000', 'port: 0')}\nconsole.log((await app.inject('/')).body)\nawait app.close()\nawait pool.end()\n`,
  )
  t.equal(await runIn(checkout, 'env', `DATABASE_URL=${url}`, process.execPath, 'example.mjs'), '[]\n')
  t.ok(code.trim().split('\n').length <= 15, 'in 15 lines')
})
