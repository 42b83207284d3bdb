// Common plugins, each before and after this one, and all of them together.
import assert from 'node:assert/strict'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import popularPosts from 'fastify-popular-posts'
import { check, options } from './check.js'

const PLUGINS = {
  compress: [compress, { threshold: 0 }],
  cors: [cors, { origin: 'https://blog.example' }],
  etag: [etag, {}],
  helmet: [helmet, {}],
  'rate-limit': [rateLimit, { max: 1000 }],
  swagger: [swagger, { openapi: {} }],
  'under-pressure': [underPressure, { exposeStatusRoute: true, maxEventLoopDelay: 60_000 }],
}

const ours = [popularPosts, options()]
const all = Object.values(PLUGINS)
const orders = {
  'all before': [...all, ours],
  'all after': [ours, ...all],
  'all before, in reverse': [...all.toReversed(), ours],
}
for (const [name, plugin] of Object.entries(PLUGINS)) {
  orders[`${name} before`] = [plugin, ours]
  orders[`${name} after`] = [ours, plugin]
}
for (const [name, order] of Object.entries(orders)) {
  try {
    const app = Fastify()
    // Without await, as in the examples of Fastify.
    for (const [plugin, settings] of order) app.register(plugin, settings)
    await app.ready()
    if (/^(?:all|swagger) before/.test(name)) assert.ok(app.swagger().paths['/posts/{slug}/views']?.post, 'documented')
    if (/^(?:all|cors) before/.test(name)) {
      const { headers } = await app.inject({ url: '/posts/popular', headers: { origin: 'https://blog.example' } })
      assert.equal(headers['access-control-allow-origin'], 'https://blog.example')
      assert.match(headers.vary, /origin, accept-encoding/i)
    }
    await check(app)
    process.stdout.write(`${name}: all is well\n`)
  } catch (error) {
    process.stdout.write(`${name}: ${error.stack}\n`)
  }
}
