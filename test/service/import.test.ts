import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createTestDatabase } from '../helpers/postgres.ts'
import { LOADER } from '../helpers/program.ts'
import { command, getPosts, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

t.test('an imported log replaces the demo, in a running service and after a restart', async (t) => {
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
  const importing = command(t, ['import-log', log, '--post', '/blog/', '--create-posts'], env)
  t.equal(await importing.ended(), 0, importing.stderr())
  t.match(importing.stderr(), 'The demo blog (63 posts) was removed.')
  await until(
    async () => (await slugs(service.address)).join() === 'first 2,second 1',
    'the service shows the imported blog',
  )
  await service.stop()

  const again = await startService(t, env)
  t.match(again.stdout(), /Popular posts of your blog.*\n.*2 posts/)
  t.same(await slugs(again.address), ['first 2', 'second 1'])
})

t.test(
  'Ctrl-C ends an import with its summary, in each number of signals',
  { skip: process.platform === 'win32' },
  async (t) => {
    const { url } = await createTestDatabase(t)
    const args = ['import-log', '--post', '/blog/', '--create-posts']
    const child = spawn(process.execPath, [LOADER, 'bin/popular-posts.ts', ...args], {
      env: { ...process.env, DATABASE_URL: url },
      stdio: 'pipe',
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text) => {
      stdout += text
    })
    child.stderr.on('data', (text) => {
      stderr += text
    })
    child.stdin.write(
      '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/a HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11) Firefox/29.0"\n',
    )
    const ended = once(child, 'exit')
    await until(() => stdout.includes('Database: '), 'the import begins')
    const { name } = /Database: (?<name>.*)/.exec(stdout)?.groups ?? {}
    t.match(name, /^\S+ of PostgreSQL at \S+$/)
    t.notOk(stdout.includes(new URL(url).password || 'no password'))
    for (let signals = 0; signals < 3; signals++) child.kill('SIGINT')
    t.same(await ended, [130, null], stderr)
    t.match(stdout, /lines read +[01]\n/)
    t.match(stderr, 'Interrupted: the lines read until then were counted.')
  },
)

t.test('an import into no database says so, and creates one only when asked', async (t) => {
  const directory = await temporaryDirectory(t)
  const env = { DATA_DIR: join(directory, 'data') }
  const log = join(directory, 'access.log')
  await writeFile(log, '')
  const refused = command(t, ['import-log', log], env)
  t.equal(await refused.ended(), 1)
  t.match(
    refused.stderr(),
    /^error: There is no database yet \(the embedded one in .*data\): .* --new-database\. .* to it\.\n$/,
  )
  t.notOk(existsSync(env.DATA_DIR))
  const created = command(t, ['import-log', log, '--new-database'], env)
  t.equal(await created.ended(), 0, created.stderr())
  const dry = command(t, ['import-log', log, '--dry-run'], env)
  t.equal(await dry.ended(), 0, dry.stderr())
  t.match(dry.stdout(), /^Database: the embedded one in .*\nlines read {6}0\n/)
})
