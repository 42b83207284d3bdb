// Folders of plugins and routes. The test writes plugins/popular-posts.js as docs/hosts.md has it.
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { check, options } from './check.js'

const folder = import.meta.dirname
await writeFile(
  join(folder, 'plugins/db.js'),
  `import fp from 'fastify-plugin'
  export default fp(async (app, options) => app.decorate('db', options.makeDb()), { name: 'db' })`,
)
// A folder gives its routes a prefix: the plugin itself is the file, with options of its own.
await mkdir(join(folder, 'services/v2'), { recursive: true })
await writeFile(
  join(folder, 'services/v2/index.js'),
  `export { default } from 'fastify-popular-posts'
  export const autoConfig = ${JSON.stringify(options())}`,
)

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const makeDb = () => new Kysely({ dialect: new PostgresDialect({ pool }) })
{
  const app = Fastify()
  app.register(autoload, { dir: join(folder, 'plugins'), options: { makeDb, prefix: '/ignored' } })
  await app.ready()
  const { headers } = await app.inject('/posts/popular')
  assert.match(headers['cache-status'], /fwd=miss; stored/)
  await app.close()
}
{
  const app = Fastify()
  app.register(autoload, { dir: join(folder, 'services') })
  await check(app, '/v2')
}
await pool.end()
process.stdout.write('all is well\n')
