import type { FastifySchema } from 'fastify'
import { compileRoute } from './compile.ts'

/** The description of a route in the OpenAPI document, without the schema of its requests. */
export interface Operation {
  /** A unique id; the prefix of the plugin is appended. */
  operationId: string
  summary: string
  description?: string
  tags: string[]
  /** Replies by status, made by the functions of `responses.ts`. */
  response: Record<number, object>
}

/**
 * Makes route options from a description and the schema of a request. The schemas of replies are only for the document, not
 * for serialization: lists are bytes already, and errors have their shape.
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
  // A host's `transform` of @fastify/swagger, such as jsonSchemaTransform for zod, fails for schemas of another kind.
  const config = { popularPosts: operationId, swaggerTransform: false as const }
  return {
    schema,
    config,
    validatorCompiler: compileRoute,
    serializerCompiler: () => serialize,
    schemaErrorFormatter,
  }
}

/**
 * Replies as JSON. The default error handler of Fastify passes errors, such as those of a host's hooks, to the serializer of their
 * status: they get Fastify's own shape, because JSON has no properties of an error.
 */
function serialize(payload: unknown): string {
  if (!(payload instanceof Error)) return JSON.stringify(payload)
  const { statusCode, code, error, message } = payload as Error & { statusCode: number; code?: string; error: string }
  return JSON.stringify({ statusCode, code, error, message })
}

/** Like the default of Fastify, which the host's app may have replaced. */
function schemaErrorFormatter(errors: { instancePath: string; message?: string }[], part: string): Error {
  return new Error(errors.map(({ instancePath, message }) => `${part}${instancePath} ${message}`).join(', '))
}
