import { type TProperties, Type } from 'typebox'
import type { Logger } from '../lib/logger.ts'
import { MAX_SLUG_LENGTH } from '../lib/slug-forms.ts'
import type { Lists } from '../lists/popular-posts.ts'
import { badQuery, expectations, MAX_EXCLUDED, MAX_SLUGS, type Parameter, PUBLISHED_WITHIN } from '../lists/query.ts'
import type { Settings } from '../settings/options.ts'
import { compileRoute } from './compile.ts'
import { type Operation, operation } from './operation.ts'
import { createHint } from './unknown-parameters.ts'

export interface ListRouteOptions {
  settings: Settings
  lists: Lists
}

/** The schemas of the query parameters of lists, with their expectations as descriptions. */
export function querySchema(settings: Settings) {
  const { maxDays, days, defaultDays, defaultLimit, maxLimit, load } = settings
  const words = expectations(settings)
  const window = days === undefined ? { minimum: 0, maximum: maxDays } : { enum: [...days] }
  const slug = { minLength: 1, maxLength: MAX_SLUG_LENGTH }
  /** A parameter that may be repeated. One value may stand alone. */
  const slugs = (description: string) =>
    Type.Optional(Type.Array(Type.String(slug), { minItems: 1, maxItems: MAX_SLUGS, description }))
  const builtIn = {
    excludeCategory: slugs(words.excludeCategory),
    publishedWithin: Type.Optional(Type.Integer({ enum: PUBLISHED_WITHIN, description: words.publishedWithin })),
  }
  return {
    limit: Type.Optional(Type.Integer({ minimum: 1, description: words.limit, default: defaultLimit })),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: maxLimit, description: words.offset, default: 0 })),
    days: Type.Optional(Type.Integer({ ...window, description: words.days, default: defaultDays })),
    sort: Type.Optional(
      Type.Enum(['views', 'trending'], { type: 'string', description: words.sort, default: 'views' }),
    ),
    category: slugs(words.category),
    tag: slugs(words.tag),
    author: slugs(words.author),
    language: Type.Optional(Type.String({ ...slug, description: words.language })),
    minViews: Type.Optional(Type.Integer({ minimum: 0, description: words.minViews, default: 0 })),
    // A load of the host does not get them: the resolver refuses them by name.
    ...(load === undefined ? builtIn : ({} as typeof builtIn)),
    exclude: Type.Optional(
      Type.Array(Type.String({ maxLength: MAX_SLUG_LENGTH }), { maxItems: MAX_EXCLUDED, description: words.exclude }),
    ),
  }
}

const INTEGERS = ['limit', 'offset', 'days', 'minViews', 'publishedWithin'] as const

/** A query before validation. */
type UncheckedQuery = Partial<Record<Parameter, unknown>>

/**
 * Makes route options with the description of an operation and the validation of its query. It refuses texts that the coercion
 * of Ajv would accept as integers (`1e3`, ` 7 `, `+5`). Each error names the parameter, what was expected and what came.
 */
export function checkedQuery<P extends TProperties>(
  app: { prefix: string; log: Pick<Logger, 'debug'> },
  spec: Operation,
  properties: P,
  settings: Settings,
) {
  const integers = INTEGERS.filter((name) => name in properties)
  const hint = createHint(Object.keys(properties), app.log)

  function compile(route: Parameters<typeof compileRoute>[0]) {
    const check = compileRoute(route)
    return (query: UncheckedQuery) => {
      hint(query)
      for (const name of integers) {
        const value = query[name]
        if (value === undefined) continue
        if (typeof value !== 'string' || !/^[0-9]+$/.test(value)) return { error: badQuery(name, value, settings) }
        // A number beyond the safe integers exceeds every maximum anyway.
        query[name] = Math.min(Number(value), Number.MAX_SAFE_INTEGER)
      }
      if (check(query)) return true
      const name = check.errors?.[0]?.instancePath.split('/')[1] as Parameter
      return { error: badQuery(name, query[name], settings) }
    }
  }

  return { ...operation(app, spec, { querystring: Type.Object(properties) }), validatorCompiler: compile }
}
