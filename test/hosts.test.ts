import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { fillBlog } from './helpers/blog.ts'
import { runIn } from './helpers/checkout.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { redisUrl } from './helpers/redis.ts'
import { installedVersion, npmInstall, packPackage } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const WELL = 'all is well\n'

/** The code of a recipe in docs/hosts.md, by its first line. */
function recipe(firstLine: string): string {
  const page = readFileSync(join(root, 'docs/hosts.md'), 'utf8')
  const codes = [...page.matchAll(/```\w+\n([\s\S]*?)```/g)].map(([, code = '']) => code)
  const found = codes.find((code) => code.startsWith(firstLine))
  if (found === undefined) throw new Error(`Expected a recipe that begins with ${firstLine}, got none.`)
  return found
}

const { db, url } = await createTestDatabase(t)
await fillBlog(db, 6)
const servers = [`DATABASE_URL=${url}`, `REDIS_URL=${await redisUrl()}`]
const tarball = await packPackage(t)
const directory = await temporaryDirectory(t)
await cp(join(root, 'test/hosts'), directory, { recursive: true })
await runIn(directory, 'npm', ...npmInstall, '--ignore-scripts', tarball)
await runIn(directory, 'npm', 'rebuild', 'esbuild')

/** Runs a program with the servers. Resolves to what it prints; also what it says when it fails. */
const run = (cwd: string, ...args: string[]): Promise<string> =>
  runIn(cwd, 'env', ...servers, process.execPath, ...args).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => `${stdout}${stderr}`,
  )

for (const [name, versions] of Object.entries({
  'the oldest versions': ['fastify@5.0.0', 'kysely@0.28.0', 'pg@8.0.3', 'ioredis@5.0.0'],
  'the newest of the versions before': ['fastify@5', 'kysely@0.28', 'pg@8', 'ioredis@5'],
  'the newest versions': ['fastify@5', 'kysely@0.29', 'pg@8', 'ioredis@6'],
}))
  t.test(`${name} of a host's own packages`, async (t) => {
    const host = await temporaryDirectory(t)
    await writeFile(join(host, 'package.json'), '{"private":true,"type":"module"}')
    for (const file of ['check.js', 'versions.js']) await cp(join(root, 'test/hosts', file), join(host, file))
    await runIn(host, 'npm', ...npmInstall, tarball, ...versions)
    for (const version of versions) {
      const [name = '', wanted = ''] = version.split('@')
      const installed = await installedVersion(host, name)
      t.equal(`${installed}.`.slice(0, wanted.length + 1), `${wanted}.`, `${name} ${installed}`)
    }
    t.equal(await run(host, 'versions.js'), WELL)
  })

t.test('common plugins in either order', async (t) => {
  const lines = (await run(directory, 'plugins.js')).trim().split('\n')
  t.equal(lines.length, 17)
  for (const line of lines) t.match(line, /: all is well$/)
})

t.test('@fastify/autoload, also with the prefix of a folder', async (t) => {
  await mkdir(join(directory, 'plugins'), { recursive: true })
  await writeFile(join(directory, 'plugins/popular-posts.js'), recipe('// plugins/popular-posts.js'))
  t.equal(await run(directory, 'autoload.js'), WELL)
})

t.test('the type providers of zod and TypeBox', async (t) => {
  t.equal(await run(directory, 'providers.js'), WELL)
})

t.test('NestJS on Fastify', async (t) => {
  t.equal(await run(directory, 'nest.js'), WELL)
})

for (const [tool, format] of [
  ['esbuild', 'cjs'],
  ['esbuild', 'esm'],
  ['webpack', 'cjs'],
  ['tsup', 'cjs'],
  ['tsup', 'esm'],
] as const)
  t.test(`one file for all, made by ${tool} as ${format}`, async (t) => {
    const empty = await temporaryDirectory(t)
    const file = join(empty, format === 'esm' ? 'app.mjs' : 'app.cjs')
    t.equal(await run(directory, 'bundle.js', tool, format, file), '')
    t.ok(existsSync(file))
    t.equal(await run(empty, file), WELL)
  })

t.test('the command for esbuild in the documents', async (t) => {
  const command = recipe('npx esbuild').replace('app.js', 'versions.js').trim().split(' ').slice(1)
  await runIn(directory, 'npx', '--no-install', ...command)
  t.equal(await run(directory, 'app.cjs'), WELL)
})

t.test('Jest in a project of CommonJS', async (t) => {
  const project = join(directory, 'jest')
  await mkdir(project)
  await writeFile(join(project, 'package.json'), '{"private":true}')
  await writeFile(join(project, 'jest.config.js'), recipe('// jest.config.js'))
  await cp(join(directory, 'jest.test.cjs'), join(project, 'popular-posts.test.js'))
  // It writes its report to stderr, but for --json.
  const report = await run(project, '../node_modules/jest/bin/jest.js', '--json')
  t.match(JSON.parse(report), { success: true, numPassedTests: 1 })
})
