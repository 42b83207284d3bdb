import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

const { version } = JSON.parse(
  readFileSync(new URL(import.meta.resolve('fastify-popular-posts/package.json')), 'utf8'),
) as { version: string }

/** The pages load everything from the service itself, and have no inline styles and scripts. */
const CONTENT_SECURITY_POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': ["'self'", 'data:'],
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
}

/**
 * Makes the OpenAPI document (`app.swagger()`) of all routes with tags that are registered later, from the schemas that
 * validate requests; `GET /docs` shows it.
 */
const openapi: FastifyPluginAsync = async (app) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Popular posts',
        version,
        description: 'Cached lists of the most popular posts of a blog, and the counting of the views that rank them.',
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      },
      servers: [{ url: '/', description: 'The service that serves this document.' }],
      security: [],
      tags: [
        { name: 'posts', description: 'Routes for the pages of a blog.' },
        { name: 'operations', description: 'Routes for operators.' },
      ],
      components: {
        securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer', description: 'The admin token.' } },
      },
    },
    // Pages are not part of the document.
    hideUntagged: true,
    transformObject: complete,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    // The default layout has a bar with inline styles.
    uiConfig: { layout: 'BaseLayout' },
  })
}

/**
 * Completes the document of the service: it moves each schema with a title to the components, adds the admin token to
 * operations that may reply 401, and marks a nullable body as optional, which @fastify/swagger does not do.
 */
function complete(document: object): object {
  const { openapiObject } = document as { openapiObject: { components: object } }
  const schemas: Record<string, object> = {}
  const { paths, ...rest } = JSON.parse(JSON.stringify(openapiObject), (_key, value: Schema | null) => {
    if (typeof value?.title !== 'string' || value.type === undefined) return value
    schemas[value.title] = value
    return { $ref: `#/components/schemas/${value.title}` }
  }) as { paths: Record<string, { get?: Operation; post?: Operation }> }
  for (const { get, post } of Object.values(paths)) {
    for (const each of [get, post]) if (each?.responses['401'] !== undefined) each.security = [{ bearerAuth: [] }]
    const body = post?.requestBody
    if (body?.content['application/json']?.schema.anyOf?.some(({ type }) => type === 'null')) body.required = false
  }
  return { ...rest, paths, components: { ...openapiObject.components, schemas } }
}

interface Schema {
  title?: unknown
  type?: string
  anyOf?: Schema[]
}

interface Operation {
  responses: Record<string, object>
  security?: object[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> }
}

export default fp(openapi, { name: 'popular-posts-openapi', fastify: '5.x' })
