import { type TProperties, Type } from 'typebox'
import type { Lists } from '../lists/popular-posts.ts'
import { badQuery, expectations, type Parameter } from '../lists/query.ts'
import type { Settings } from '../settings/options.ts'
import { compileRoute } from './compile.ts'
import { type Operation, operation } from './operation.ts'

export interface ListRouteOptions {
  settings: Settings
  lists: Lists
}

/** The query parameters of lists, with what each must be in words. */
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
    exclude: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { maxItems: 50, description: words.exclude })),
  }
}

/** What a query may be that was not checked yet. */
type UncheckedQuery = Partial<Record<Parameter, unknown>>

/**
 * Route options that describe an operation, and check its query. What Ajv's coercion would let pass as an integer (`1e3`,
 * ` 7 `, `+5`) is refused before it, and every refusal names the parameter, what it must be, and what came.
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
        // More digits than a number holds are too many all the same.
        query[name] = Math.min(Number(value), Number.MAX_SAFE_INTEGER)
      }
      if (check(query)) return true
      const name = check.errors?.[0]?.instancePath.split('/')[1] as Parameter
      return { error: badQuery(name, query[name], settings) }
    }
  }

  return { ...operation(app, spec, { querystring: Type.Object(properties) }), validatorCompiler: compile }
}
