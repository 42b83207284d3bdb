// NestJS on Fastify, without decorators in the syntax.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { Controller, Get, Module } from '@nestjs/common'
import { HttpAdapterHost, NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import popularPosts from 'fastify-popular-posts'
import { check, options } from './check.js'

class Sidebar {
  constructor(host) {
    this.host = host
  }
  async list() {
    const { popularPosts } = this.host.httpAdapter.getInstance()
    return (await popularPosts.get({ limit: 1 })).map(({ slug }) => slug)
  }
}
Reflect.defineMetadata('design:paramtypes', [HttpAdapterHost], Sidebar)
Get('sidebar')(Sidebar.prototype, 'list', Object.getOwnPropertyDescriptor(Sidebar.prototype, 'list'))
Controller()(Sidebar)
class AppModule {}
Module({ controllers: [Sidebar] })(AppModule)

for (const [settings, prefix] of [
  [{}, ''],
  [{ prefix: '/api' }, '/api'],
]) {
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false })
  app.setGlobalPrefix('nest')
  await app.register(popularPosts, { ...options(), ...settings })
  await app.init()
  const fastify = app.getHttpAdapter().getInstance()
  await fastify.ready()
  assert.equal((await fastify.inject('/nest/sidebar')).body, '["post-1"]')
  await check(fastify, prefix)
}
process.stdout.write('all is well\n')
