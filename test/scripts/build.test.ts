import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { checkOut, plainEnvironment, runIn } from '../helpers/checkout.ts'

const checkout = await checkOut(t)
const command = join(checkout, 'dist/bin/popular-posts.js')
const build = () => runIn(checkout, process.execPath, 'scripts/build.js')
const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string }

await build()

t.test('the command runs under both of its names after every build', async (t) => {
  const npx = (name: string) => runIn(checkout, 'npx', '--offline', name, '--version')
  t.equal(await npx('popular-posts'), `${version}\n`)
  await build()
  t.equal(await npx('popular-posts'), `${version}\n`, 'after the second build')
  t.equal(await npx('fastify-popular-posts'), `${version}\n`, 'under the name of the package')
  await chmod(command, 0o644)
  await build()
  t.doesNotThrow(() => accessSync(command, constants.X_OK), 'a build of an earlier version has lost the run bit')
})

t.test(
  'a build takes no file away while it runs, replaces only what has changed, and removes what is outdated',
  async (t) => {
    const [changed, same] = [join(checkout, 'dist/lists/query.js'), join(checkout, 'dist/service/run.js')]
    const source = join(checkout, 'lists/query.ts')
    const [text, code, { ino }] = [readFileSync(source, 'utf8'), readFileSync(changed, 'utf8'), statSync(same)]
    await writeFile(source, `${text}\nexport const added = true\n`)
    await writeFile(join(checkout, 'dist/plugins/outdated.js'), '')
    const building = spawn('env', [...plainEnvironment(), process.execPath, 'scripts/build.js'], {
      cwd: checkout,
      stdio: 'ignore',
    })
    const end = once(building, 'exit')
    const seen = new Set<string>()
    while (building.exitCode === null) {
      seen.add(readFileSync(changed, 'utf8'))
      accessSync(command, constants.X_OK)
      await setImmediate()
    }
    t.same(await end, [0, null])
    seen.add(readFileSync(changed, 'utf8'))
    t.equal(seen.size, 2, 'a reader sees the old file or the new one, and nothing in between')
    t.ok(seen.has(code))
    t.equal(statSync(same).ino, ino, 'a file that stays as it is')
    t.notOk(existsSync(join(checkout, 'dist/plugins/outdated.js')))
    t.same(await readdir(join(checkout, 'build')), [], 'nothing is left behind')
  },
)

t.test('a build that fails leaves dist as it was', async (t) => {
  const code = readFileSync(command, 'utf8')
  await writeFile(join(checkout, 'service/run.ts'), 'export const = 1')
  await t.rejects(build(), { code: 2, stdout: /run\.ts/ })
  t.equal(readFileSync(command, 'utf8'), code)
})
