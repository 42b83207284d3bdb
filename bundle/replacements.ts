import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'esbuild'

const require = createRequire(import.meta.url)

/** What replaces a package in the bundle, as CommonJS: code that is never called there is a third of a cold start. */
const PACKAGES: Readonly<Record<string, () => string>> = {
  // Routes bring compilers of their own: see `precompile`.
  '@fastify/ajv-compiler': () =>
    `module.exports = () => () => { throw new Error('Expected every route to bring its compilers.') }`,
  '@fastify/fast-json-stringify-compiler': () => PACKAGES['@fastify/ajv-compiler']?.() ?? '',
  // @fastify/rate-limit needs it for its own keys; the route of views makes the key.
  'ip-address': () => 'exports.Address6 = class { constructor() { throw new Error("Expected a key of the route.") } }',
  // Fastify compares the versions of its plugins. `precompile` has started the same app with the same plugins.
  semver: () => 'exports.satisfies = () => true; exports.gt = () => false; exports.coerce = (version) => version',
  // The router checks regular expressions in routes, of which there are none.
  'safe-regex2': () => 'module.exports = () => true',
  // Logs go to stdout: pino starts no thread.
  'thread-stream': () =>
    'module.exports = class { constructor() { throw new Error("Expected a log without a transport.") } }',
  // ioredis logs with it where the variable DEBUG says so.
  debug: () => 'exports.default = () => Object.assign(() => {}, { enabled: false })',
  // Certificates of another service than ElastiCache.
  '../constants/TLSProfiles': () => 'exports.default = {}',
  // URLs name Redis itself, never Sentinels.
  './SentinelConnector': sentinel,
  './connectors/SentinelConnector': sentinel,
  // @fastify/aws-lambda makes the options of `inject`.
  './lib/config-validator': () => 'module.exports = () => true',
  // Fastify sets the defaults of its options. `precompile` has started the same app with the same options.
  './config-validator': fastifyOptions,
  // The driver for native bindings, which are not installed.
  './native': () => 'module.exports = undefined',
  '@ioredis/commands/built/commands.json': commands,
}

/** The packages of the files in {@link PACKAGES}. */
const OWNERS: Readonly<Record<string, string>> = {
  '../constants/TLSProfiles': 'ioredis',
  './SentinelConnector': 'ioredis',
  './connectors/SentinelConnector': 'ioredis',
  './lib/config-validator': 'light-my-request',
  './config-validator': 'fastify',
  './native': 'pg',
}

/** A connector that is never used. */
function sentinel(): string {
  return 'exports.default = class { constructor() { throw new Error("Expected a Redis without Sentinels.") } }'
}

/** Sets the defaults of the options of Fastify; it does not validate them. */
function fastifyOptions(): string {
  const { defaultInitOptions } = require('fastify/lib/config-validator') as { defaultInitOptions: object }
  return `
    const defaults = ${JSON.stringify(defaultInitOptions)}
    module.exports = (options) => {
      for (const [name, value] of Object.entries(defaults)) options[name] ??= structuredClone(value)
      return true
    }
    module.exports.defaultInitOptions = defaults`
}

/** The commands of Redis with what ioredis reads of them: where their keys are, and two flags. */
function commands(): string {
  const all = require('@ioredis/commands/built/commands.json') as Record<
    string,
    { flags: string[]; keyStart: number; keyStop: number; step: number }
  >
  const short = Object.entries(all).map(([name, { flags, keyStart, keyStop, step }]) => [
    name,
    [flags.includes('readonly') ? 1 : 0, flags.includes('loading') ? 1 : 0, keyStart, keyStop, step].join(' '),
  ])
  return `
    for (const [name, text] of Object.entries(${JSON.stringify(Object.fromEntries(short))})) {
      const [readonly, loading, keyStart, keyStop, step] = text.split(' ').map(Number)
      exports[name] = { flags: [readonly && 'readonly', loading && 'loading'].filter(Boolean), keyStart, keyStop, step }
    }`
}

const filter = (names: readonly string[]) =>
  new RegExp(`^(?:${names.map((name) => name.replace(/[.*+?^$()[\]{}|\\/]/g, '\\$&')).join('|')})$`)

/** Replaces packages, or files of packages, that the functions do not need. */
export const replacePackages: Plugin = {
  name: 'replace-packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: filter(Object.keys(PACKAGES)) }, ({ path, resolveDir }) => {
      const owner = OWNERS[path]
      const isOther = owner !== undefined && !`${resolveDir}/`.includes(`/node_modules/${owner}/`)
      return isOther ? undefined : { path, namespace: 'replaced' }
    })
    onResolve({ filter: /^\.\/commands\.json$/ }, () => ({
      path: '@ioredis/commands/built/commands.json',
      namespace: 'replaced',
    }))
    onResolve({ filter: /^typebox$/ }, () => ({ path: fileURLToPath(new URL('typebox.ts', import.meta.url)) }))
    onLoad({ filter: /.*/, namespace: 'replaced' }, ({ path }) => ({ contents: PACKAGES[path]?.() ?? '' }))
  },
}
