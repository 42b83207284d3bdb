import { Ajv, type ValidateFunction } from 'ajv'

/** The options of Ajv for requests to these routes; also used by `bundle/precompile.ts`, which compiles schemas ahead. */
export const ROUTE_AJV_OPTIONS = {
  coerceTypes: 'array' as const,
  useDefaults: true,
  removeAdditional: true,
  strict: false,
  // The schemas are part of this package, so Ajv need not validate them.
  meta: false,
  validateSchema: false,
}

/**
 * Compiles the schema of a part of a request as Fastify does by default, even if the host's app uses zod, Joi, TypeBox or other
 * options of Ajv. It is in a file of its own, because a bundle replaces this file by one without Ajv.
 */
export function compileRoute({ schema }: { schema: unknown; method: string; url: string; httpPart?: string }) {
  return new Ajv(ROUTE_AJV_OPTIONS).compile(schema as object) as ValidateFunction
}
