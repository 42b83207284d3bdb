import { Ajv, type ValidateFunction } from 'ajv'

/** How what is asked of our routes is checked; also where that is compiled ahead (see `bundle/precompile.ts`). */
export const ROUTE_AJV_OPTIONS = {
  coerceTypes: 'array' as const,
  useDefaults: true,
  removeAdditional: true,
  strict: false,
  // The schemas are ours.
  meta: false,
  validateSchema: false,
}

/**
 * Checks a part of a request the way Fastify does by default, whatever way the host's app has: zod, Joi, TypeBox, or an Ajv
 * with other options. A file of its own: a bundle has another one in its place, without Ajv.
 */
export function compileRoute({ schema }: { schema: unknown; method: string; url: string; httpPart?: string }) {
  return new Ajv(ROUTE_AJV_OPTIONS).compile(schema as object) as ValidateFunction
}
