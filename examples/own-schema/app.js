import Fastify from 'fastify'
import popularPosts from 'fastify-popular-posts'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
// Without listeners a connection that breaks, idle or in use, ends the process.
pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))

/**
 * The host's own types of its own tables.
 * @typedef {{ handle: string, state: 'draft' | 'review' | 'published' | 'retired', goes_live_at: Date | null }} Article
 * @type {Kysely<{ 'magazine.article': Article }>}
 */
const db = new Kysely({ dialect: new PostgresDialect({ pool }) })
const app = Fastify({ logger: true })
app.decorate('db', db)
app.addHook('onClose', () => db.destroy())

await app.register(popularPosts, { db, timeZone: 'Europe/Vienna' })

app.post('/magazine/articles/:handle/publish', async (request, reply) => {
  const { handle } = /** @type {{ handle: string }} */ (request.params)
  const { numUpdatedRows } = await db
    .updateTable('magazine.article')
    .set({ state: 'published', goes_live_at: new Date() })
    .where('handle', '=', handle)
    .executeTakeFirstOrThrow()
  // No code here invalidates lists: the triggers do.
  return reply.code(numUpdatedRows > 0n ? 204 : 404).send()
})

await app.listen({ port: Number(process.env.PORT ?? 3000) })
