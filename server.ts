import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { codeOf, StartupError } from './lib/errors.ts'
import { plural } from './lib/plural.ts'
import type { Config } from './service/config.ts'
import type { ServiceDatabase } from './service/database.ts'
import { runMain, runUntilSignal } from './service/run.ts'

await runMain(() =>
  runUntilSignal(async (addEnd) => {
    // Loaded here, because a signal ends the process with code 0 only after `runUntilSignal` has begun.
    const { readServiceConfig } = await import('./service/service-config.ts')
    const { expectTimeZone, explainStartupError, openServiceDatabase } = await import('./service/database.ts')
    const { seedDemo } = await import('./demo/data/seed-demo.ts')
    const { default: site } = await import('./demo/site/site.ts')
    const { serveElement } = await import('./demo/site/assets.ts')
    const { buildService, closeService } = await import('./service/service.ts')
    const config = readServiceConfig()
    const database = await openServiceDatabase(config)
    addEnd(database.close)
    try {
      await expectTimeZone(database.db, config)
      const { siteTimeZone: timeZone, days } = config
      if (database.isEmbedded) await seedDemo(database.db, { nowMs: Date.now(), timeZone })
      const app = await buildService(config, database.connectionString)
      addEnd(() => closeService(app))
      if (config.hasSite) await app.register(site, { db: database.db, isAdopted: database.isAdopted, timeZone, days })
      else await serveElement(app)
      await listen(app, config, database)
    } catch (error) {
      throw explainStartupError(error, config)
    }
  }),
)

/** Listens, and prints the greeting. */
async function listen(app: FastifyInstance, config: Config, database: ServiceDatabase): Promise<void> {
  const { host, port, logLevel } = config
  // Fastify's own log line would come before the greeting.
  app.log.level = 'silent'
  try {
    const address = await app.listen({ host, port })
    process.stdout.write(await greeting(database, config, address, app.log))
    app.log.level = logLevel
  } catch (error) {
    const code = codeOf(error)
    const sentences: Record<string, string> = {
      EADDRINUSE: `Port ${port} on ${host} is in use by another program: stop that program, or choose another port, such as PORT=${port + 1} npm start.`,
      EACCES: `Port ${port} needs more rights than this user has: choose a port above 1023, such as PORT=3000 npm start.`,
    }
    const sentence =
      sentences[code] ?? `HOST ${host} is not an address of this machine (${code}): try HOST=127.0.0.1 npm start.`
    throw new StartupError(sentence, { cause: error })
  }
}

/** The text printed at the start: the address, the data, and commands to try. */
async function greeting(
  { db, isEmbedded, isAdopted }: ServiceDatabase,
  { dataDir, hasSite, days }: Config,
  address: string,
  log: FastifyBaseLogger,
): Promise<string> {
  const { isLive } = await import('./db/window.ts')
  const { isDemoBlog } = await import('./demo/data/demo-marker.ts')
  const { createRowGuard } = await import('./db/row-guard.ts')
  // The log is silent here: lists read the same rows, and log those that cannot be read.
  const read = createRowGuard(log)
  const { posts } = await read(db, (blog) =>
    blog
      .selectFrom('posts')
      .where(isLive({}))
      .select((post) => post.fn.countAll().as('posts'))
      .executeTakeFirstOrThrow(),
  )
  const isDemo = !isAdopted && (await isDemoBlog(db))
  const data = isEmbedded ? `an embedded PostgreSQL in ${dataDir}` : 'the PostgreSQL in DATABASE_URL'
  return `
  Popular posts of ${isDemo ? 'a demo blog' : 'your blog'}, on ${address}
  Data: ${plural(Number(posts), 'post')} in ${data}

  ${hasSite ? 'Open it in a browser, or try' : 'Try'} next:
    curl '${address}/posts/popular?limit=5&days=${days?.at(0) ?? 7}'
    curl '${address}/categories'
    npx popular-posts import-log access.log --post /blog/${isAdopted ? '' : ' --create-posts'}

`
}
