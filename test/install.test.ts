import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runIn } from './helpers/checkout.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { packPackage } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const [, installLine = '', program = ''] =
  /```sh\nnpm install (fastify-popular-posts .+)\n[\s\S]*?```js\n([\s\S]*?)```/.exec(read('README.md')) ?? []
const packages = installLine.split(' ').slice(1)

/** The package of a package manager in the registry, and its commands. */
const MANAGERS = {
  npm: { package: undefined, add: 'npm install --prefer-offline --no-audit', strict: '--engine-strict', run: 'npx' },
  pnpm: {
    package: 'pnpm@10',
    add: 'pnpm add --prefer-offline',
    strict: '--config.engine-strict=true',
    run: 'pnpm exec',
  },
  // yarn checks `engines` unless it may ignore them.
  yarn: { package: 'yarn@1', add: 'yarn add', strict: '', run: 'yarn --silent run' },
  // It does not check `engines`. It has no node_modules, and packages can import only what they declare.
  'yarn 4': { package: '@yarnpkg/cli-dist@4', add: 'yarn add', strict: '', run: 'yarn run' },
} as const

/** Covers each manager on each version of Node.js, both with each order, and each version strict and not strict. */
const installations: { manager: keyof typeof MANAGERS; node: number; isStrict: boolean; order: string }[] = [
  { manager: 'npm', node: 20, isStrict: false, order: 'at once' },
  { manager: 'npm', node: 20, isStrict: true, order: 'the peers first' },
  { manager: 'npm', node: 22, isStrict: true, order: 'the plugin first' },
  { manager: 'npm', node: 24, isStrict: false, order: 'the plugin first' },
  { manager: 'pnpm', node: 20, isStrict: false, order: 'the plugin first' },
  { manager: 'pnpm', node: 22, isStrict: false, order: 'at once' },
  { manager: 'pnpm', node: 24, isStrict: true, order: 'the peers first' },
  { manager: 'yarn', node: 20, isStrict: true, order: 'the plugin first' },
  { manager: 'yarn', node: 22, isStrict: false, order: 'the peers first' },
  { manager: 'yarn', node: 24, isStrict: true, order: 'at once' },
  { manager: 'yarn 4', node: 20, isStrict: false, order: 'the peers first' },
  { manager: 'yarn 4', node: 24, isStrict: false, order: 'at once' },
]

/** The folder of a program, from the registry if this process has another version; `undefined`: not available. */
async function folderOf(name: string, program: string): Promise<string | undefined> {
  if (name === `node@${process.versions.node.split('.')[0]}`) return join(process.execPath, '..')
  const path = await runIn(root, 'npx', '--yes', '--prefer-offline', `--package=${name}`, 'which', program).catch(
    () => '',
  )
  return path === '' ? undefined : join(path, '..')
}

const registry = (await runIn(root, 'npm', 'config', 'get', 'registry')).trim()
const tarball = await packPackage(t)
/** The settings of this machine for the registry, which npm may have in its configuration. */
const network = Object.entries(process.env)
  .filter(([name]) => /^(?:https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_file)$/i.test(name))
  .map(([name, value]) => `${name}=${value}`)
/** Runs a shell command with the programs of some folders. Resolves to its output, with errors and warnings. */
const shell = (cwd: string, folders: string[], line: string, variables: string[] = []) =>
  runIn(
    cwd,
    'env',
    `PATH=${[...folders, process.env['PATH']].join(':')}`,
    ...[`YARN_NPM_REGISTRY_SERVER=${registry}`, 'YARN_ENABLE_TELEMETRY=0', ...network, ...variables],
    ...['sh', '-c', `(${line}) 2>&1`],
  ).catch((error: { stdout: string }) => {
    throw new Error(`${line}\n${error.stdout}`)
  })

t.ok(packages.includes('kysely'), `README installs ${installLine}`)

for (const { manager, node, isStrict, order } of installations) {
  const title = `${manager} on Node.js ${node}, ${order}${isStrict ? ', engines are strict' : ''}`
  await t.test(title, async (t) => {
    const { package: managerPackage, add, strict, run: runIt } = MANAGERS[manager]
    const folders: string[] = []
    for (const [name, binary] of [
      [`node@${node}`, 'node'],
      ...(managerPackage ? [[managerPackage, add.split(' ')[0]]] : []),
    ]) {
      const folder = await folderOf(String(name), String(binary))
      if (folder === undefined) {
        t.pass(`${name} cannot be had from the registry`, { skip: true })
        return
      }
      folders.push(folder)
    }
    const directory = await temporaryDirectory(t)
    const overrides = { cookie: '^1.1.1' }
    await writeFile(
      join(directory, 'package.json'),
      JSON.stringify({
        name: 'host',
        version: '1.0.0',
        private: true,
        // Fastify 5.12 requires cookie 2, which requires Node.js 22.
        ...(isStrict && node === 20 ? { overrides, resolutions: overrides } : {}),
      }),
    )
    const plugin = `fastify-popular-posts@file:${tarball}`
    // Only npm chooses a version by the version of Node.js.
    const peers = packages.map((name) =>
      name === 'kysely' && isStrict && node === 20 && manager !== 'npm' ? 'kysely@0.28' : name,
    )
    const steps = {
      'at once': [[plugin, ...peers]],
      'the peers first': [peers, [plugin]],
      'the plugin first': [[plugin], peers],
    }[order]
    const isLoose = manager === 'yarn' && !isStrict
    let said = ''
    for (const step of steps ?? []) {
      said = await shell(
        directory,
        folders,
        [add, isStrict ? strict : isLoose ? '--ignore-engines' : '', ...step].join(' '),
      )
      const warned = [...said.matchAll(/package: '([^@']+)@/g)].map(([, name]) => name)
      t.same(
        warned.filter((name) => name !== 'cookie'),
        [],
        'no package of ours wants another Node.js',
      )
    }
    t.notMatch(said, /ERESOLVE|unmet peer|incorrect peer/i)

    const { url } = await createTestDatabase(t, { migrate: false })
    const inHost = (line: string) => shell(directory, folders, line, [`DATABASE_URL=${url}`])
    t.match(await inHost(`${runIt} fastify-popular-posts migrate`), 'The tables were created.')
    t.match(await inHost(`${runIt} popular-posts demo`), 'The demo blog was added.')
    const code = `${program.replace('port: 3000', 'port: 0')}
      console.log(process.version, (await app.inject('/posts/popular?limit=2')).json().length, (await app.inject('/')).json().length)
      await app.close()
      await pool.end()`
    await writeFile(join(directory, 'app.mjs'), code)
    const answer = await inHost(`${manager === 'yarn 4' ? 'yarn node' : 'node'} app.mjs`)
    t.match(answer, new RegExp(`^v${node}\\..* 2 5$`, 'm'), 'the program of the README lists posts')
    if (!existsSync(join(directory, 'node_modules'))) return
    const manifest = readFileSync(join(directory, 'node_modules/kysely/package.json'), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    t.match(version, manager === 'npm' && node === 20 ? /^0\.28\./ : /^0\.2[89]\./, `kysely ${version}`)
  })
}

t.test('the packages that the examples name are what their code imports', async (t) => {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'package.json'), '{"name":"host","private":true,"type":"module"}')
  const lines = [
    ...read('examples/README.md').matchAll(/\| \[([\w-]+)\]\(.*`npm install (fastify-popular-posts .*)` \|$/gm),
  ]
  t.ok(lines.length >= 3)
  for (const [, example = '', line = ''] of lines) {
    const imported = [...read(`examples/${example}/app.js`).matchAll(/ from '([^'.]+)'/g)]
      .map(([, name = '']) => name)
      .filter((name) => !name.startsWith('node:'))
    t.same(line.split(' ').sort(), imported.sort(), example)
  }
  const all = new Set(lines.flatMap(([, , line = '']) => line.split(' ').slice(1)))
  await shell(directory, [], `npm install --prefer-offline --no-audit ${[tarball, ...all].join(' ')}`)
  for (const [, example = ''] of lines) {
    await mkdir(join(directory, example))
    await cp(join(root, 'examples', example), join(directory, example), { recursive: true })
    // The last line of each is refused, which proves that the lines before it ran.
    const env = ['DATABASE_URL=none', `REDIS_URL=${process.env['TEST_REDIS_URL']}`, 'PORT=none']
    const said = await runIn(directory, 'env', ...env, process.execPath, join(example, 'app.js')).catch(
      (error: { stderr: string }) => error.stderr,
    )
    t.match(said, /ERR_SOCKET_BAD_PORT/, `${example} finds what it imports`)
  }
})
