import createError from '@fastify/error'
import { urlProblems } from '../lib/connection-urls.ts'
import { databaseProblem } from './host-database.ts'
import { optionsSchema, type PopularPostsOptions, type Settings } from './options.ts'
import { createValidator, type SettingsSchema, shown } from './validate.ts'

const InvalidOptions = createError<[string]>(
  'PP_INVALID_OPTIONS',
  'The options of fastify-popular-posts are not usable: %s.',
  500,
)

const validate = createValidator(optionsSchema as SettingsSchema)

/** The options of `app.register` itself, which Fastify passes on to plugins. */
const OF_REGISTER = ['prefix', 'logLevel', 'logSerializers']

/**
 * Checks the options, and fills in the defaults. The object of the caller is not changed. Options of `register` are left out.
 * @throws `PP_INVALID_OPTIONS`, which lists every invalid option with what was expected and what came.
 */
export function checkOptions(options: PopularPostsOptions): Settings {
  const given = Object.entries(options).filter(([name, value]) => value !== undefined && !OF_REGISTER.includes(name))
  const settings = Object.fromEntries(given) as unknown as Settings
  const names = { databaseUrl: 'databaseUrl', redisUrl: 'redisUrl', redisCluster: 'redisCluster' }
  const problems = [...validate(settings), ...urlProblems(settings, names)]
  if (problems.length === 0) problems.push(...contradictions(settings))
  if (problems.length > 0) throw new InvalidOptions(problems.join('; '))
  return settings
}

const PASSWORDS = ['databasePassword', 'redisPassword'] as const
const FUNCTIONS = ['load', 'loadCategories', 'loadFilters', 'onListsChanged', ...PASSWORDS] as const

function contradictions(settings: Settings): string[] {
  const problems: string[] = []
  const { defaultLimit, maxLimit, defaultDays, maxDays, days, db, databaseUrl, load } = settings
  for (const name of FUNCTIONS) {
    const value: unknown = settings[name]
    if (value !== undefined && typeof value !== 'function')
      problems.push(`${name}: expected a function, got ${shown(value)}`)
  }
  const problem = db && databaseProblem(db, settings.schema)
  if (problem !== undefined) problems.push(`db: ${problem}`)
  if (db !== undefined && databaseUrl !== undefined) problems.push('databaseUrl: expected none beside db, got both')
  if (settings.redis !== undefined && settings.redisUrl !== undefined)
    problems.push('redisUrl: expected none beside redis, got both')
  if (db === undefined && databaseUrl === undefined && load === undefined) {
    problems.push('db: expected a Kysely instance, or a databaseUrl, or a load function, got none of them')
  }
  if (defaultLimit > maxLimit)
    problems.push(`defaultLimit: expected at most maxLimit (${maxLimit}), got ${defaultLimit}`)
  if (defaultDays > maxDays) problems.push(`defaultDays: expected at most maxDays (${maxDays}), got ${defaultDays}`)
  if (days !== undefined && !days.includes(defaultDays))
    problems.push(`days: expected defaultDays (${defaultDays}) among them, got ${shown(days)}`)
  for (const each of days ?? [])
    if (each > maxDays) problems.push(`days: expected at most maxDays (${maxDays}), got ${each}`)
  return problems
}
