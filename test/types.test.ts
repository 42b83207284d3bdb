import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPost, type PopularPosts } from '../index.ts'
import { runIn } from './helpers/checkout.ts'
import { installedVersion, npmInstall, packPackage } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

t.test('posts are of the type that a host declares', async (t) => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const said = await runIn(root, process.execPath, tsc, '-p', 'test/types').catch(
    (error: { stdout: string }) => error.stdout,
  )
  t.equal(said, '')
})

t.test('without a declaration posts have our type, and a load may return any objects', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { load: async () => [{ slug: 'a', stars: 5 }] })
  const posts: PopularPost[] = await app.popularPosts.get()
  t.equal(posts[0]?.slug, 'a')
  // @ts-expect-error -- not a field of our posts
  t.equal(posts[0]?.stars, 5)
  const own = app.getDecorator<PopularPosts<{ slug: string; stars: number }>>('popularPosts')
  t.equal((await own.get())[0]?.stars.toFixed(), '5')
})

// Covers each pair of values of two columns. TypeScript 5.9 is the first with the export `module.exports`.
const hosts = [
  { typescript: 'newest', resolution: 'nodenext', kysely: '0.28', 'prom-client': '15' },
  { typescript: 'newest', resolution: 'bundler', kysely: '0.29', 'prom-client': '14' },
  { typescript: '5.9', resolution: 'nodenext', kysely: '0.29', 'prom-client': '14' },
  { typescript: '5.8', resolution: 'bundler', kysely: '0.28', 'prom-client': '15' },
] as const

t.test(
  "the declarations compile with TypeScript's own defaults, which check the declarations of packages, too",
  async (t) => {
    const [tarball, directory] = await Promise.all([packPackage(t), temporaryDirectory(t)])
    const install = (folder: string, ...packages: string[]) => runIn(folder, 'npm', ...npmInstall, ...packages)
    await install(directory, ...['5.9', '5.8'].map((version) => `typescript-${version}@npm:typescript@${version}`))

    for (const host of hosts) {
      const { typescript, resolution, kysely, 'prom-client': promClient } = host
      await t.test(JSON.stringify(host), async (t) => {
        const folder = join(directory, `kysely-${kysely}`)
        await mkdir(folder, { recursive: true })
        await writeFile(join(folder, 'package.json'), '{"private":true}')
        // The types come from these versions, and from those of this project.
        const types = ['@types/node@20', '@types/pg@8', '@opentelemetry/api@1.9']
        await install(folder, tarball, 'fastify', 'pg', `kysely@${kysely}`, `prom-client@${promClient}`, ...types)
        t.match(await installedVersion(folder, 'kysely'), new RegExp(`^${kysely}\\.`))
        await cp(join(root, 'test/types/installed'), folder, { recursive: true })

        const compiler =
          typescript === 'newest'
            ? join(root, 'node_modules/typescript')
            : join(directory, 'node_modules', `typescript-${typescript}`)
        const tsc = (...args: string[]) =>
          runIn(
            folder,
            process.execPath,
            join(compiler, 'bin/tsc'),
            '--strict',
            '--target',
            'es2022',
            '--types',
            'node',
            ...args,
          )
        if (resolution === 'bundler') {
          await tsc('--noEmit', '--module', 'esnext', '--moduleResolution', 'bundler', 'esm.mts').catch(fail)
          return
        }
        await tsc('--module', 'nodenext', 'esm.mts', 'commonjs.cts').catch(fail)
        t.equal(await runIn(folder, process.execPath, 'commonjs.cjs'), 'function,hello', 'and run as they are declared')

        function fail({ stdout }: { stdout: string }) {
          t.equal(stdout, '')
        }
      })
    }
  },
)
