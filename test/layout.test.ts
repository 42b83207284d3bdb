import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { SLOW } from './slow.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Which parts a part may import values from; types may come from anywhere below `app`. */
const arrows: Record<string, string[]> = {
  cache: ['cache'],
  db: ['db'],
  views: ['views', 'cache'],
  'formats.ts': [],
  'compile-settings.ts': ['formats.ts'],
  'validate.ts': ['compile-settings.ts'],
  'query.ts': ['validate.ts'],
  'logged-error.ts': [],
  'connection-urls.ts': [],
  'config.ts': ['connection-urls.ts', 'validate.ts'],
  plugins: ['plugins', 'cache', 'connection-urls.ts', 'db', 'logged-error.ts', 'query.ts', 'validate.ts', 'views'],
  aws: ['aws'],
  routes: ['routes', 'views', 'logged-error.ts', 'query.ts', 'compile-routes.ts'],
  site: ['site', 'db', 'logged-error.ts'],
  'compile-routes.ts': [],
  'index.ts': ['plugins', 'routes'],
  'app.ts': ['aws', 'index.ts', 'plugins', 'routes'],
  'run.ts': ['config.ts', 'db'],
  'service-database.ts': ['aws', 'db', 'plugins'],
  'lambda.ts': ['app.ts', 'aws', 'config.ts'],
  'lambda-migrate.ts': ['aws', 'config.ts', 'db', 'plugins'],
  'opentelemetry.ts': ['cache'],
  'service.ts': ['app.ts', 'plugins', 'routes'],
  'server.ts': ['config.ts', 'db', 'run.ts', 'service-database.ts', 'service.ts', 'site'],
  bin: ['aws', 'bin', 'cache', 'config.ts', 'db', 'plugins', 'run.ts', 'service-database.ts', 'views'],
}

const folders = ['cache', 'db', 'views', 'plugins', 'routes', 'site', 'aws', 'bin']
const files = [
  ...readdirSync(root).filter((name) => name.endsWith('.ts')),
  ...folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  ),
]

const partOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? '') : file)

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

t.test('imports follow the arrows of the architecture', async (t) => {
  t.ok(files.length > 30, 'the files are found')
  for (const file of files) {
    const part = partOf(file)
    const allowed = arrows[part]
    if (allowed === undefined) {
      t.fail(`${file}: expected arrows for ${part} in this test`)
      continue
    }
    for (const { from, isType } of importsOf(file)) {
      if (!from.startsWith('.')) continue
      const target = partOf(normalize(join(dirname(file), from)))
      const isBelowApp = !['app.ts', 'service.ts', 'server.ts', 'lambda.ts', 'bin'].includes(target)
      t.ok(
        allowed.includes(target) || (isType && isBelowApp && part !== 'cache' && part !== 'db'),
        `${file} imports ${from}`,
      )
    }
  }
})

t.test('the cache and the database know no Fastify', async (t) => {
  for (const file of files.filter((name) => ['cache', 'db'].includes(partOf(name)))) {
    for (const { from } of importsOf(file))
      t.notMatch(from, /^(?:fastify|@fastify\/(?!error))/, `${file} imports ${from}`)
  }
  for (const file of files.filter((name) => partOf(name) === 'cache')) {
    for (const { from } of importsOf(file)) t.notMatch(from, /^(?:kysely|pg)$/, `${file} imports ${from}`)
  }
})

t.test('only config.ts reads the environment, and only routes and plugins know requests', async (t) => {
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8')
    // Programs that are started inherit their PATH and the like.
    const isReader = file === 'config.ts' || file === 'db/embedded/account.ts'
    if (!isReader) t.notMatch(text, /process\.env/, file)
    if (partOf(file) === 'routes')
      t.notMatch(text, /\bsql`|from 'kysely|from 'pg'|ioredis/, `${file} has no SQL and no Redis`)
  }
})

t.test('functions and hosts get nothing that only the service has', async (t) => {
  for (const start of ['lambda.ts', 'index.ts']) {
    const reached = [start]
    for (const file of reached) {
      for (const { from, isType } of importsOf(file)) {
        if (isType) continue
        t.notMatch(
          from,
          /^(?:@fastify\/(?:swagger|helmet)|ghtml|close-with-grace|prom-client|@opentelemetry)/,
          `${start}: ${file} imports ${from}`,
        )
        const target = normalize(join(dirname(file), from))
        if (from.startsWith('.') && !reached.includes(target)) reached.push(target)
      }
    }
    t.ok(reached.length > 20, `${start} reaches its parts`)
  }
})

t.test('no file is longer than its idea', async (t) => {
  for (const file of files.filter((name) => name !== 'db/demo/posts.ts')) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length
    t.ok(lines <= 300, `${file} has ${lines} lines`)
  }
})

t.test('what only the full run tries is there', async (t) => {
  for (const file of SLOW) t.ok(existsSync(join(root, file)), file)
})
