import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

const { version } = JSON.parse(
  readFileSync(new URL(import.meta.resolve('fastify-popular-posts/package.json')), 'utf8'),
) as { version: string }

/** Everything of the pages comes from the service itself, and nothing is in line. */
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
 * Describes all routes with tags that are registered from here on, from the schemas that check requests: `app.swagger()`
 * makes the OpenAPI document, and `GET /docs` shows it.
 */
const openapi: FastifyPluginAsync = async (app) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Popular posts',
        version,
        description: 'The popular posts of a blog, cached, and the counting of the views that they are ranked by.',
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
      },
      servers: [{ url: '/', description: 'Where this document comes from.' }],
      security: [],
      tags: [
        { name: 'posts', description: 'For the pages of a blog.' },
        { name: 'operations', description: 'For whoever runs it.' },
      ],
      components: {
        securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer', description: 'The admin token.' } },
      },
    },
    // Pages, and what else is not for programs.
    hideUntagged: true,
    transformObject: complete,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    // Without the bar on top, whose logo has styles in line.
    uiConfig: { layout: 'BaseLayout' },
  })
}

/**
 * Adds what only the service's own document has: each shape that has a name once, among the components; the admin token, where
 * an operation may answer 401; and that a body which may be null may be left out, which @fastify/swagger does not see.
 */
function complete(document: object): object {
  const { openapiObject } = document as { openapiObject: { components: object } }
  const schemas: Record<string, object> = {}
  const { paths, ...rest } = JSON.parse(JSON.stringify(openapiObject), (_key, value: Schema | null) => {
    if (typeof value?.title !== 'string' || value.type === undefined) return value
    schemas[value.title] = value
    return { $ref: `#/components/schemas/${value.title}` }
  }) as { paths: Record<string, { post?: Operation }> }
  for (const { post } of Object.values(paths)) {
    if (post?.responses['401'] !== undefined) post.security = [{ bearerAuth: [] }]
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
