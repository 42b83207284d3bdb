import { fileURLToPath } from 'node:url'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import Fastify from 'fastify'
import popularPosts from 'fastify-popular-posts'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
// Without listeners a connection that breaks, idle or in use, ends the process.
pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))

/**
 * @typedef {{ slug: string, title: string, excerpt: string, published_at: Date | null, is_private: boolean }} Post
 * @type {Kysely<{ posts: Post }>}
 */
const db = new Kysely({ dialect: new PostgresDialect({ pool }) })
const app = Fastify({ logger: true })
app.addHook('onClose', () => db.destroy())

await app.register(fastifyView, { engine: { eta: new Eta() }, root: fileURLToPath(new URL('views', import.meta.url)) })
await app.register(popularPosts, { db, redisUrl: process.env.REDIS_URL, routes: '/api' })

const livePosts = () =>
  db
    .selectFrom('posts')
    .select(['slug', 'title', 'excerpt', 'published_at'])
    .where('published_at', '<=', new Date())
    .where('is_private', '=', false)

/**
 * A page without its sidebar is better than none.
 * @param {import('fastify-popular-posts').PopularPostsQuery} [query]
 */
const sidebar = (query) => app.popularPosts.get({ limit: 5, days: 7, ...query }).catch(() => [])

app.get('/', async (_request, reply) => {
  const posts = await livePosts().orderBy('published_at', 'desc').limit(10).execute()
  return reply.view('home.eta', { title: 'The newest posts', posts, popular: await sidebar() })
})

app.get('/posts/:slug', async (request, reply) => {
  const { slug } = /** @type {{ slug: string }} */ (request.params)
  const post = await livePosts().where('slug', '=', slug).executeTakeFirst()
  if (post === undefined) return reply.callNotFound()
  app.postViews.record({ slug, request })
  return reply.view('post.eta', { title: post.title, post, popular: await sidebar({ exclude: [slug] }) })
})

await app.listen({ port: Number(process.env.PORT ?? 3000) })
