import fastifyCors from '@fastify/cors'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

/**
 * On every answer: what we call JSON is JSON, and nobody frames it. Not @fastify/helmet: of its twelve headers ten are for pages,
 * whose Content-Security-Policy is their own, and `cross-origin-resource-policy` would keep other sites from reading.
 */
export const SECURITY_HEADERS = { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' }

export interface SecurityOptions {
  /** The origins whose pages may read; `*`: any; none: those of the service's own only. */
  corsOrigins: readonly string[]
}

/**
 * What the service tells browsers about itself, and which pages of other origins they may let read. Recording a view needs no
 * leave: nothing is read. Whoever has the admin token sends it from a server: browsers are not told that they may.
 */
const security: FastifyPluginAsync<SecurityOptions> = async (app, { corsOrigins }) => {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(SECURITY_HEADERS)
    done()
  })
  if (corsOrigins.length === 0) return
  await app.register(fastifyCors, {
    origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: ['content-type', 'if-none-match'],
    exposedHeaders: ['age', 'cache-status', 'etag'],
    maxAge: 7_200,
    // What asks nothing is no preflight, and has no such route.
    strictPreflight: false,
  })
}

export default fp(security, { name: 'popular-posts-security', fastify: '5.x' })
