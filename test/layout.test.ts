import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { SLOW } from '../scripts/slow-tests.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The folders from which a folder may import values; types may also come from `typesFrom`. */
const arrows: Record<string, string[]> = {
  lib: [],
  cache: ['lib'],
  db: ['lib'],
  settings: ['lib'],
  changes: ['db', 'lib'],
  views: ['db', 'lib'],
  telemetry: ['cache', 'lib'],
  lists: ['cache', 'changes', 'db', 'lib', 'settings', 'telemetry'],
  routes: ['lib', 'lists', 'views'],
  composition: ['cache', 'changes', 'db', 'lib', 'lists', 'telemetry', 'views'],
  plugins: ['composition', 'lib', 'routes', 'settings', 'telemetry'],
  'index.ts': ['plugins'],
  aws: [],
  service: ['aws', 'db', 'lib', 'plugins', 'routes', 'settings', 'telemetry'],
  demo: ['db', 'lib', 'routes'],
  bin: ['aws', 'cache', 'changes', 'db', 'demo', 'lib', 'service', 'views'],
  'server.ts': ['db', 'demo', 'lib', 'service'],
  'lambda.ts': ['aws', 'lib', 'plugins', 'service'],
  'lambda-migrate.ts': ['aws', 'db', 'lib', 'service'],
}
const typesFrom: Record<string, string[]> = {
  settings: ['db'],
  views: ['settings'],
  composition: ['settings'],
  plugins: ['lists', 'views'],
  routes: ['settings'],
  telemetry: ['lists', 'views'],
  demo: ['lists'],
  'index.ts': ['cache', 'db', 'lib', 'lists', 'settings', 'views'],
  'lambda.ts': ['composition'],
}

const DOORS = ['index.ts', 'lambda-migrate.ts', 'lambda.ts', 'server.ts']
const folders = Object.keys(arrows).filter((room) => !DOORS.includes(room))
const files = [
  ...readdirSync(root).filter((name) => name.endsWith('.ts')),
  ...folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  ),
]

const roomOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? '') : file)

function importsOf(file: string): { from: string; isType: boolean }[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = text.matchAll(
    /^(?:import|export)(?<type> type)?[^'"]*?from '(?<from>[^']+)'|import\('(?<dynamic>[^']+)'\)/gm,
  )
  return [...found].map(({ groups }) => ({
    from: groups?.['from'] ?? groups?.['dynamic'] ?? '',
    isType: groups?.['type'] !== undefined,
  }))
}

t.test('the root has only the entry points of the package', async (t) => {
  t.same(
    readdirSync(root)
      .filter((name) => /\.[cm]?[jt]s$/.test(name))
      .sort(),
    DOORS,
  )
})

t.test('imports follow the layers of the architecture', async (t) => {
  t.ok(files.length > 100, 'the files are found')
  for (const file of files) {
    const room = roomOf(file)
    const allowed = arrows[room]
    if (allowed === undefined) {
      t.fail(`${file}: expected arrows for ${room} in this test`)
      continue
    }
    for (const { from, isType } of importsOf(file)) {
      if (!from.startsWith('.')) continue
      const target = roomOf(normalize(join(dirname(file), from)))
      const isAllowed = [room, ...allowed, ...(isType ? (typesFrom[room] ?? []) : [])].includes(target)
      t.ok(isAllowed, `${file} imports ${from}`)
    }
  }
})

t.test('there is no import cycle, also not of types', async (t) => {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      t.fail([...path.slice(path.indexOf(file)), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const { from } of importsOf(file))
      if (from.startsWith('.')) visit(normalize(join(dirname(file), from)), [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  t.ok(done.size >= files.length, 'each file is visited')
})

t.test('plugins/ contains only Fastify plugins', async (t) => {
  for (const file of files.filter((name) => roomOf(name) === 'plugins'))
    t.match(readFileSync(join(root, file), 'utf8'), /\bfp\(/, file)
})

t.test('cache/ and db/ do not import Fastify', async (t) => {
  for (const file of files.filter((name) => ['cache', 'db'].includes(roomOf(name)))) {
    for (const { from } of importsOf(file))
      t.notMatch(from, /^(?:fastify|@fastify\/(?!error))/, `${file} imports ${from}`)
  }
  for (const file of files.filter((name) => roomOf(name) === 'cache')) {
    for (const { from } of importsOf(file)) t.notMatch(from, /^(?:kysely|pg)$/, `${file} imports ${from}`)
  }
})

t.test('only service/config.ts reads the environment, and only routes and plugins use requests', async (t) => {
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8')
    // Child processes inherit PATH and similar variables.
    const isReader = file === 'service/config.ts' || file === 'db/embedded/account.ts'
    if (!isReader) t.notMatch(text, /process\.env/, file)
    if (roomOf(file) === 'routes')
      t.notMatch(text, /\bsql`|from 'kysely|from 'pg'|ioredis/, `${file} has no SQL and no Redis`)
  }
})

t.test('functions and hosts do not import modules of the service', async (t) => {
  for (const start of ['lambda.ts', 'index.ts']) {
    const reached = [start]
    for (const file of reached) {
      for (const { from, isType } of importsOf(file)) {
        if (isType) continue
        t.notMatch(
          from,
          /^(?:@fastify\/(?:swagger|helmet)|ghtml|prom-client|@opentelemetry)/,
          `${start}: ${file} imports ${from}`,
        )
        const target = normalize(join(dirname(file), from))
        if (from.startsWith('.') && !reached.includes(target)) reached.push(target)
      }
    }
    t.ok(reached.length > 20, `${start} reaches its parts`)
  }
})

t.test('no file has more than 300 lines', async (t) => {
  for (const file of files.filter((name) => name !== 'demo/data/posts.ts')) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length
    t.ok(lines <= 300, `${file} has ${lines} lines`)
  }
})

t.test('every file of SLOW exists', async (t) => {
  for (const file of SLOW) t.ok(existsSync(join(root, file)), file)
})
