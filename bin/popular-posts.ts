#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import type { Transaction } from 'kysely'
import { passwordsOf } from '../aws/tokens.ts'
import { recordChange } from '../changes/revision.ts'
import { databaseName } from '../db/database-name.ts'
import { hasEmbeddedDatabase } from '../db/embedded/cluster.ts'
import { type MigrateOptions, POST_ID_TYPES, type PostIdType } from '../db/migrate.ts'
import { openDatabase } from '../db/open-database.ts'
import { ADOPTED_SCHEMA } from '../db/own-schema.ts'
import type { Database } from '../db/schema.ts'
import { readTimeZone, setTimeZone } from '../db/time-zone.ts'
import { removeDemo, seedDemo } from '../demo/data/seed-demo.ts'
import { StartupError } from '../lib/errors.ts'
import { plural } from '../lib/plural.ts'
import { type Config, readConfig } from '../service/config.ts'
import { expectTimeZone, explainStartupError, openServiceDatabase, type ServiceDatabase } from '../service/database.ts'
import { runMain } from '../service/run.ts'
import { adoptCommand } from './adopt/command.ts'
import { exportCountsCommand } from './export-counts/command.ts'
import { flushRedis } from './flush.ts'
import { importCountsCommand } from './import-counts/command.ts'
import { importFeedCommand } from './import-feed/command.ts'
import { importLogCommand } from './import-log/command.ts'
import { addressOf } from './import-log/paths.ts'
import { invalidateInRedis } from './invalidate.ts'
import { storeSums } from './store-sums.ts'

const { version } = JSON.parse(
  readFileSync(new URL(import.meta.resolve('fastify-popular-posts/package.json')), 'utf8'),
) as { version: string }

const NO_POSTS_IN_ADOPTED =
  'The blog in DATABASE_URL has its own tables, in which this command creates no posts: import without --create-posts.'

/** The variables that flags set. */
const flags: NodeJS.ProcessEnv = {}
const readSettings = () => readConfig(undefined, flags)

const program = new Command('popular-posts')
  .description(
    'Manages the database and the views of the popular posts of a blog. It reads the same environment variables as the service.',
  )
  .version(version)
  .showHelpAfterError()

program
  .command('migrate')
  .description('creates or updates the tables in DATABASE_URL')
  .option('--adopt', 'for a blog with its own tables: creates the counters, but no posts (see docs/adopting.md)')
  .addOption(new Option('--post-id <type>', 'the type of its post ids (needs --adopt)').choices(POST_ID_TYPES))
  .action(async ({ adopt, postId }: { adopt?: boolean; postId?: PostIdType }, command: Command) => {
    if (postId !== undefined && adopt !== true) command.error('error: --post-id needs --adopt')
    const migrate = adopt === true ? { adopt: { postId: postId ?? 'bigint' } } : {}
    await withDatabase({ migrate }, async ({ db, isAdopted, schema, migrations }, { siteTimeZone, days: allowed }) => {
      const place = schema === undefined ? '' : `, in the schema ${schema}`
      const isNew = migrations.includes('001-view-counters')
      const done = isNew ? 'were created' : migrations.length > 0 ? 'were updated' : 'are up to date'
      print(`The tables${isAdopted ? ' of this package' : ''} ${done}${place}.`)
      // Sums of the days of another zone would make those of the service outdated.
      await storeSums(db, { timeZone: await readTimeZone(db, siteTimeZone), allowed }, process.stderr)
    })
  })

program
  .command('demo')
  .description('fills an empty database with the demo blog')
  .action(() =>
    withDatabase({}, async ({ db, isAdopted }, config) => {
      if (isAdopted) throw new StartupError('Nothing was changed: the blog in DATABASE_URL has its own tables.')
      await expectTimeZone(db, config)
      const isFilled = await seedDemo(db, { nowMs: Date.now(), timeZone: config.siteTimeZone })
      print(
        isFilled
          ? 'The demo blog was added.'
          : 'Nothing was changed: the database has posts, or had the demo blog before.',
      )
    }),
  )

program
  .command('time-zone')
  .description('changes the time zone of the site to SITE_TIME_ZONE, for all days that are not counted yet')
  .action(() =>
    withDatabase({}, async ({ db }, { siteTimeZone }) => {
      await setTimeZone(db, siteTimeZone)
      print(`The time zone of the site is ${siteTimeZone}. Restart its services with this SITE_TIME_ZONE.`)
    }),
  )

program
  .command('invalidate')
  .description('invalidates every cached list: in REDIS_URL, or in all services that listen to the database')
  .option('--soft', 'serve the old lists while they are refreshed')
  .action(async ({ soft }: { soft?: boolean }) => {
    const config = readSettings()
    const mode = soft === true ? 'soft' : 'hard'
    const { redisUrl, cache } = config
    if (redisUrl === undefined) {
      await withDatabase({}, async ({ db }) => void (await recordChange(db, mode)))
      print(`All lists are outdated (${mode}) in each service that hears of it: at once, or within a minute.`)
      return
    }
    print(
      (await invalidateInRedis({ ...config, redisUrl }, mode))
        ? `All lists are outdated (${mode}).`
        : `There was nothing to invalidate: no process has used REDIS_URL with the prefix "${cache.redisPrefix}". Check both; for a client whose keyPrefix is "app:", CACHE_PREFIX is app:{${cache.redisPrefix}}.`,
    )
  })

program
  .command('flush')
  .description('counts the views that wait in REDIS_URL in the database, once; running services do so regularly')
  .action(async () => {
    const config = readSettings()
    const { redisUrl } = config
    // This is an error: a timer that runs this without the variable would leave the views waiting, unnoticed.
    if (redisUrl === undefined)
      throw new StartupError(
        'REDIS_URL is not set: without Redis each service counts its own views, and there is nothing to flush from outside.',
      )
    await withDatabase({}, async ({ db }) => {
      await expectTimeZone(db, config)
      await flushRedis(db, { ...config, redisUrl }, print)
    })
  })

program.addCommand(
  importLogCommand({
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    nowMs: Date.now,
    get signal() {
      const interrupt = new AbortController()
      // Also for a second signal: a terminal and npm send each signal twice.
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt.abort())
      return interrupt.signal
    },
    async findDatabase() {
      const { databaseUrl, dataDir } = readSettings()
      if (databaseUrl !== undefined) return { name: databaseName(databaseUrl), isMissing: false }
      return { name: `the embedded one in ${dataDir}`, isMissing: !(await hasEmbeddedDatabase(dataDir)) }
    },
    async openDatabase() {
      const { db, close, isAdopted, config } = await openCounters()
      return {
        db,
        timeZone: config.siteTimeZone,
        dedupSeconds: config.viewDedupSeconds,
        ignore: config.ignore,
        days: config.days,
        address: addressOf(config),
        async close(hasChanged) {
          // So that services on this database show the new counts at once.
          await (hasChanged ? recordChange(db, 'hard') : Promise.resolve()).finally(close)
        },
        async beforeCreatingPosts(trx) {
          if (isAdopted) throw new StartupError(NO_POSTS_IN_ADOPTED)
          await replaceDemo(trx)
        },
      }
    },
  }),
)

program.addCommand(
  importCountsCommand({
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    nowMs: Date.now,
    async openDatabase() {
      const { db, close, isAdopted, config } = await openCounters()
      return {
        db,
        timeZone: config.siteTimeZone,
        days: config.days,
        address: addressOf(config),
        async beforeCreatingPosts(trx) {
          if (isAdopted) throw new StartupError(NO_POSTS_IN_ADOPTED)
          await replaceDemo(trx)
        },
        async close(isChanged) {
          try {
            // So that services on this database show the new counts at once.
            if (isChanged) await recordChange(db, 'hard')
          } finally {
            await close()
          }
        },
      }
    },
  }),
)

program.addCommand(
  exportCountsCommand({
    stdout: process.stdout,
    async openDatabase() {
      const { db, close, config } = await openCounters()
      return { db, close, timeZone: config.siteTimeZone }
    },
  }),
)

program.addCommand(
  adoptCommand({
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    async openDatabase() {
      const { databaseUrl, databaseSchema: schema = ADOPTED_SCHEMA, iam } = readSettings()
      if (databaseUrl === undefined)
        throw new StartupError('The embedded database has no blog to adopt: set DATABASE_URL.')
      const { databasePassword: password } = passwordsOf(iam)
      const db = openDatabase(
        databaseUrl,
        // Nothing to do: the next statement reports it.
        Boolean,
        { password },
        () => schema,
      )
      return { db, schema, close: () => db.destroy() }
    },
  }),
)

program.addCommand(
  importFeedCommand({
    stdout: process.stdout,
    nowMs: Date.now,
    async openDatabase() {
      const config = readSettings()
      const { db, close, isAdopted } = await openServiceDatabase(config)
      if (isAdopted) {
        await close()
        throw new StartupError(
          'The blog in DATABASE_URL has its own tables, in which this command creates no posts: a blog with tables needs no feed.',
        )
      }
      return { db, close, address: addressOf(config), beforeImport: replaceDemo }
    },
  }),
)

for (const command of program.commands)
  command.option('--schema <name>', 'the schema of the tables of this package, instead of DATABASE_SCHEMA')
program.hook('preAction', (_program, command) => {
  const { schema } = command.opts<{ schema?: string }>()
  if (schema !== undefined) flags['DATABASE_SCHEMA'] = schema
})

await runMain(async () => {
  await program.parseAsync().catch((error: unknown) => {
    throw explainStartupError(error, readSettings())
  })
})

async function withDatabase(
  options: { migrate?: MigrateOptions },
  work: (database: ServiceDatabase, config: Config) => Promise<void>,
): Promise<void> {
  const config = readSettings()
  const database = await openServiceDatabase(config, options)
  try {
    await work(database, config)
  } finally {
    await database.close()
  }
}

/** Opens a database whose days are those of the configured time zone. */
async function openCounters(): Promise<ServiceDatabase & { config: Config }> {
  const config = readSettings()
  const database = await openServiceDatabase(config)
  try {
    await expectTimeZone(database.db, config)
    return Object.assign(database, { config })
  } catch (error) {
    await database.close()
    throw error
  }
}

/** A real blog replaces the demo. */
async function replaceDemo(trx: Transaction<Database>): Promise<void> {
  const removed = await removeDemo(trx)
  if (removed > 0) process.stderr.write(`The demo blog (${plural(removed, 'post')}) was removed.\n`)
}

function print(sentence: string): void {
  process.stdout.write(`${sentence}\n`)
}
