import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { type Config, readConfig } from './config.ts'
import { fillDemo } from './db/demo/fill.ts'
import { codeOf, StartupError } from './db/startup-error.ts'
import { run } from './run.ts'
import { openServiceDatabase, type ServiceDatabase } from './service-database.ts'

await run(async () => {
  const config = readConfig()
  const database = await openServiceDatabase(config)
  let app: FastifyInstance | undefined
  try {
    const { siteTimeZone: timeZone } = config
    if (database.isEmbedded) await fillDemo(database.db, { nowMs: Date.now(), timeZone })
    app = await buildApp(config, database.connectionString)
    const address = await listen(app, config)
    process.stdout.write(await greeting(database, config, address))
  } catch (error) {
    await app?.close()
    await database.close()
    throw error
  }
  const service = app
  closeWithGrace({ logger: service.log }, async () => {
    await service.close()
    await database.close()
  })
})

async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port, listenTextResolver: (address) => `listening on ${address}` })
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EADDRINUSE') {
      throw new StartupError(
        `Port ${port} on ${host} is taken by another program: end that one, or choose another port, such as PORT=${port + 1} npm start.`,
      )
    }
    if (code === 'EACCES')
      throw new StartupError(
        `Port ${port} needs more rights than this user has: choose one above 1023, such as PORT=3000.`,
      )
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new StartupError(`HOST ${host} is not an address of this machine: try HOST=127.0.0.1.`)
    throw error
  }
}

/** What runs, where, on what data, and what to try next. */
async function greeting({ db, isEmbedded }: ServiceDatabase, { dataDir }: Config, address: string): Promise<string> {
  const { posts } = await db
    .selectFrom('posts')
    .select((post) => post.fn.countAll().as('posts'))
    .executeTakeFirstOrThrow()
  const demo = await db.selectFrom('site_facts').where('name', '=', 'demo').select('value').executeTakeFirst()
  const data = isEmbedded ? `an embedded PostgreSQL in ${dataDir}` : 'the PostgreSQL in DATABASE_URL'
  return `
  Popular posts of ${demo?.value === 'filled' ? 'a demo blog' : 'your blog'}, on ${address}
  Data: ${posts} posts in ${data}

  Try next:
    curl '${address}/posts/popular?limit=5&days=7'
    curl '${address}/categories'
    npx popular-posts import-log access.log --post '^/blog/(?<slug>[^/]+)' --create-posts

`
}
