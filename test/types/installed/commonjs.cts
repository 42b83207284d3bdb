// A host's program with `require`. Compiled by test/types.test.ts against the declarations in the tarball, and run by it.
import Fastify = require('fastify')
import popularPosts = require('fastify-popular-posts')
import metrics = require('fastify-popular-posts/metrics')
import telemetry = require('fastify-popular-posts/opentelemetry')

import type { PopularPost, PopularPostsOptions } from 'fastify-popular-posts'
import { popularPosts as imported } from 'fastify-popular-posts'
import { metrics as importedMetrics } from 'fastify-popular-posts/metrics'
import { Kysely, PostgresDialect } from 'kysely'

import pg = require('pg')

import { Registry } from 'prom-client'

const { popularPosts: named, default: byDefault } = popularPosts
const { metrics: namedMetrics, default: metricsByDefault } = metrics
const { watchWithOpenTelemetry } = telemetry
const db = new Kysely<{ orders: { id: number } }>({ dialect: new PostgresDialect({ pool: new pg.Pool() }) })
const options: PopularPostsOptions = { db, ttlSeconds: 900 }

export const registered = () => Fastify().register(named, options)
// @ts-expect-error -- a wrong option is an error of the compiler's
export const refused = () => Fastify().register(named, { ttlSeconds: '900' })

async function main() {
  const app = Fastify()
  await app.register(popularPosts, { load: async () => [{ slug: 'hello' }] })
  await app.register(metrics, { register: new Registry() })
  const posts: PopularPost[] = await app.popularPosts.get({ limit: 3 })
  await app.close()
  for (const plugin of [named, byDefault, imported])
    if (plugin !== popularPosts) throw new Error('Expected the plugin under each of its names.')
  for (const plugin of [namedMetrics, metricsByDefault, importedMetrics])
    if (plugin !== metrics) throw new Error('Expected the plugin under each of its names.')
  return [typeof watchWithOpenTelemetry, ...posts.map(({ slug }) => slug)].join()
}

void main().then((text) => process.stdout.write(text))
