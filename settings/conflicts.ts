import createError from '@fastify/error'
import type { FastifyInstance } from 'fastify'
import type { Settings } from './options.ts'

const SCOPE =
  "app.register(async (scope) => { await scope.register(popularPosts, { prefix: '/other', redisPrefix: 'other', … }) })"

const AlreadyRegistered = createError(
  'PP_ALREADY_REGISTERED',
  `popular posts is registered in this scope already: register the second one in a scope of its own, ${SCOPE}.`,
  500,
)
const NameTaken = createError<[string, string]>(
  'PP_NAME_TAKEN',
  'Expected app.%s to be free for fastify-popular-posts, but your app has something there: call yours otherwise, ' +
    'or register this plugin in a scope that does not decorate itself with %s.',
  500,
)
const PrefixTaken = createError<[string]>(
  'PP_PREFIX_TAKEN',
  'Expected a redisPrefix of its own for each instance in one app that loads from elsewhere, got "%s" for both: set redisPrefix, ' +
    'which is what their keys in Redis begin with.',
  500,
)
const RouteTaken = createError<[string, ErrorOptions]>(
  'PP_ROUTE_TAKEN',
  "%s: give the routes of fastify-popular-posts a prefix (routes: '/api') or none of them (routes: false).",
  500,
)

/** Which instances an app has, by its server: scopes do not see each other. */
const instances = new WeakMap<object, Settings[]>()
/** The scopes that have an instance. */
const scopes = new WeakSet<object>()

/**
 * Checks that there is room for an instance of the plugin in a scope of the host's app. One of a parent scope is no
 * obstacle: it is hidden in this one.
 * @throws `PP_ALREADY_REGISTERED`, `PP_NAME_TAKEN`, `PP_PREFIX_TAKEN` that say what to do.
 */
export function checkConflicts(app: FastifyInstance, settings: Settings): void {
  if (scopes.has(app)) throw new AlreadyRegistered()
  for (const name of ['popularPosts', 'postViews']) if (Object.hasOwn(app, name)) throw new NameTaken(name, name)
  scopes.add(app)
  const others = instances.get(app.server) ?? []
  instances.set(app.server, [...others, settings])
  // Over Redis one would answer with the other's lists, and count its views for posts of another blog.
  if (others.some((other) => isShared(other) && isShared(settings) && wouldShareKeys(other, settings)))
    throw new PrefixTaken(settings.redisPrefix)
}

function isShared({ redis, redisUrl }: Settings): boolean {
  return redis !== undefined || redisUrl !== undefined
}

function wouldShareKeys(one: Settings, other: Settings): boolean {
  const isSameSource = (['db', 'databaseUrl', 'schema', 'load'] as const).every((name) => one[name] === other[name])
  return one.redisPrefix === other.redisPrefix && !isSameSource
}

/** An error of a route's registration, as one that says what to do where the host has that route. */
export function explainDuplicateRoute(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: string }
  return code === 'FST_ERR_DUPLICATED_ROUTE' ? new RouteTaken(String(message), { cause: error }) : error
}
