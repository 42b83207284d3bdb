const Fastify = require('fastify')
const popularPosts = require('fastify-popular-posts')

test('the plugin works in Jest', async () => {
  const app = Fastify()
  app.register(popularPosts, { databaseUrl: process.env.DATABASE_URL })
  const list = await app.inject('/posts/popular?limit=2')
  expect(list.json().map(({ slug }) => slug)).toEqual(['post-1', 'post-2'])
  await app.close()
}, 300_000)
