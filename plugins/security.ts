import fastifyCors from '@fastify/cors'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

/**
 * Headers of every reply: browsers must not guess the content type, and must not show the reply in a frame. @fastify/helmet is
 * not used: ten of its twelve headers are for pages, which have their own Content-Security-Policy, and its
 * `cross-origin-resource-policy` would forbid other sites to read.
 */
export const SECURITY_HEADERS = { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' }

/** Options of the security headers. */
export interface SecurityOptions {
  /** The origins whose pages may read; `*`: any origin; empty: only the origin of the service. */
  corsOrigins: readonly string[]
}

/**
 * Adds security headers, and CORS for pages of other origins. Recording a view needs no CORS, because the page does not read
 * the reply. Clients with the admin token are servers, so CORS does not allow the `authorization` header.
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
    // An OPTIONS request without preflight headers gets 404, as every unknown route.
    strictPreflight: false,
  })
}

export default fp(security, { name: 'popular-posts-security', fastify: '5.x' })
