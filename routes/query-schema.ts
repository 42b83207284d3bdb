import { type TProperties, Type } from 'typebox'
import type { Lists } from '../lists/popular-posts.ts'
import { badQuery, expectations, MAX_EXCLUDED, type Parameter } from '../lists/query.ts'
import type { Settings } from '../settings/options.ts'
import { compileRoute } from './compile.ts'
import { type Operation, operation } from './operation.ts'

export interface ListRouteOptions {
  settings: Settings
  lists: Lists
}

/** The schemas of the query parameters of lists, with their expectations as descriptions. */
export function querySchema(settings: Settings) {
  const { maxDays, defaultDays, defaultLimit } = settings
  const words = expectations(settings)
  const slug = { minLength: 1, maxLength: 200 }
  return {
    limit: Type.Optional(Type.Integer({ minimum: 1, description: words.limit, default: defaultLimit })),
    days: Type.Optional(Type.Integer({ minimum: 0, maximum: maxDays, description: words.days, default: defaultDays })),
    sort: Type.Optional(
      Type.Enum(['views', 'trending'], { type: 'string', description: words.sort, default: 'views' }),
    ),
    category: Type.Optional(Type.String({ ...slug, description: words.category })),
    tag: Type.Optional(Type.String({ ...slug, description: words.tag })),
    author: Type.Optional(Type.String({ ...slug, description: words.author })),
    exclude: Type.Optional(
      Type.Array(Type.String({ maxLength: 200 }), { maxItems: MAX_EXCLUDED, description: words.exclude }),
    ),
  }
}

/** A query before validation. */
type UncheckedQuery = Partial<Record<Parameter, unknown>>

/**
 * Makes route options with the description of an operation and the validation of its query. It refuses texts that the coercion
 * of Ajv would accept as integers (`1e3`, ` 7 `, `+5`). Each error names the parameter, what was expected and what came.
 */
export function checkedQuery<P extends TProperties>(
  app: { prefix: string },
  spec: Operation,
  properties: P,
  settings: Settings,
) {
  const integers = (['limit', 'days'] as const).filter((name) => name in properties)

  function compile(route: Parameters<typeof compileRoute>[0]) {
    const check = compileRoute(route)
    return (query: UncheckedQuery) => {
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
