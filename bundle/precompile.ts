import { createHash } from 'node:crypto'
import { _, Ajv, type Options } from 'ajv'
import standaloneCode from 'ajv/dist/standalone/index.js'
import { ROUTE_AJV_OPTIONS } from '../routes/compile.ts'
import { buildApp } from '../service/app.ts'
import { environmentSchema, readConfig } from '../service/config.ts'
import { AJV_OPTIONS } from '../settings/compile.ts'
import { optionsSchema } from '../settings/options.ts'

/** Code generated from schemas, as CommonJS modules by key. */
export interface Precompiled {
  /** By route and part, such as `GET /posts/popular querystring`. */
  validators: Map<string, string>
  /** By the hash of the schema. The code needs `formats` in scope. */
  settings: Map<string, string>
}

/** Keywords for readers. */
const TEXTS = ['description', 'expected', 'title']

/**
 * Compiles every schema of the service ahead of time: those of requests and of settings. Compiling at runtime takes a
 * quarter of a cold start, and the compilers are a third of the code.
 */
export async function precompile(): Promise<Precompiled> {
  const validators = new Map<string, string>()
  const config = readConfig({ LOG_LEVEL: 'silent', ADMIN_TOKEN: 'for all routes to be there' })
  const app = await buildApp(config, 'postgres://nobody@127.0.0.1:9/none', {
    backgroundWork: false,
    async prepare(app) {
      app.addHook('onRoute', ({ method, url, schema }) => {
        for (const part of ['body', 'querystring', 'params'] as const) {
          const asked = schema?.[part]
          if (asked !== undefined)
            validators.set(`${method} ${url} ${part}`, codeOf(asked as object, ROUTE_AJV_OPTIONS))
        }
      })
    },
  })
  await app.ready()
  await app.close()
  const settings = new Map(
    [environmentSchema, optionsSchema].map((schema) => [
      hashOf(schema),
      codeOf(schema, { ...AJV_OPTIONS, messages: false }),
    ]),
  )
  return { validators, settings }
}

/** The code that checks values, without what no caller reads: the texts of the schema, and its paths in errors. */
function codeOf(schema: object, options: Options): string {
  const ajv = new Ajv({ ...options, code: { source: true, formats: _`formats` } })
  const text = JSON.stringify(schema, (name, value) =>
    TEXTS.includes(name) && typeof value === 'string' ? undefined : value,
  )
  const code = standaloneCode.default(ajv, ajv.compile(JSON.parse(text)))
  return code.replaceAll(/schemaPath:"(?:[^"\\]|\\.)*",/g, '')
}

function hashOf(schema: object): string {
  return createHash('sha256').update(JSON.stringify(schema)).digest('base64url')
}
