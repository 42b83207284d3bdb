import { Ajv } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'

/**
 * Checks what is asked of our routes the way Fastify does by default, where the host's app has a way of its own (zod, Joi,
 * TypeBox), which does not read our schemas. A file of its own: the bundle, whose app has none, goes without Ajv.
 */
export function compileRoutes(): FastifySchemaCompiler<unknown> {
  const ajv = new Ajv({ coerceTypes: 'array', useDefaults: true, removeAdditional: true, strict: false })
  return ({ schema }) => ajv.compile(schema as object)
}
