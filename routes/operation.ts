import type { FastifySchema } from 'fastify'
import { compileRoute } from './compile.ts'

/** What the OpenAPI document says of a route, beside what it validates by. */
export interface Operation {
  /** Unique; where the plugin is registered below a prefix, that is added. */
  operationId: string
  summary: string
  description?: string
  tags: string[]
  /** By status: made by the functions of `responses.ts`. */
  response: Record<number, object>
}

/**
 * Route options with the schema of a request, described. What is answered is described only, not made by its schema: lists are
 * bytes already, and errors leave as they are.
 */
export function operation<Request extends FastifySchema>(
  app: { prefix: string },
  { operationId, ...description }: Operation,
  request: Request,
) {
  const schema: Request = {
    ...request,
    ...description,
    operationId: operationId + app.prefix.replaceAll(/[^a-zA-Z0-9]+/g, '_'),
  }
  return { schema, validatorCompiler: compileRoute, serializerCompiler: () => JSON.stringify, schemaErrorFormatter }
}

/** As Fastify's own, which the host's app may have replaced. */
function schemaErrorFormatter(errors: { instancePath: string; message?: string }[], part: string): Error {
  return new Error(errors.map(({ instancePath, message }) => `${part}${instancePath} ${message}`).join(', '))
}
