import type { RateLimitPluginOptions } from '@fastify/rate-limit'
import type { RouteShorthandOptions } from 'fastify'

/** Hooks for the routes of this package: see `hooks` of the options. */
export type RouteHooks = Pick<
  RouteShorthandOptions,
  'onRequest' | 'preParsing' | 'preValidation' | 'preHandler' | 'onSend' | 'onResponse'
>

/** Options of @fastify/rate-limit: see `viewRateLimit` of the options. */
export type ViewRateLimit = Omit<RateLimitPluginOptions, 'global' | 'timeWindow'>
