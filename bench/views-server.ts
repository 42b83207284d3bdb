/**
 * A server of `bench/views.ts` and `bench/backlog.ts`, which prints its address: `views-server.ts <mode> <database>
 * <Redis> <seconds between flushes>`. The modes: `ours`; `original`, an INSERT and an UPDATE for each view, as without
 * this package; `nothing`, a reply only. `POST /record` records `views` views without HTTP, `atOnce` at a time.
 */
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import pg from 'pg'
import popularPosts from '../index.ts'
import { BROWSER, slugOf, visitorAddress } from './fixtures/views.ts'

type Recorded = Pick<FastifyRequest, 'method' | 'ip' | 'headers'>
type Record = (slug: string, request: Recorded) => Promise<unknown>

const [mode, databaseUrl = '', redisUrl = '', flushSeconds = '1'] = process.argv.slice(2)
const app = Fastify({ trustProxy: 'loopback' })

async function recordOurs(): Promise<Record> {
  const viewFlushSeconds = Number(flushSeconds)
  await app.register(popularPosts, { databaseUrl, redisUrl, viewsPerMinute: 0, readersPerAddress: 0, viewFlushSeconds })
  app.post('/flush', async () => app.postViews.flush())
  return (slug, request) => app.postViews.record({ slug, request })
}

function recordOriginal(): Record {
  // The pool is as large as ours. Prepared statements make this mode as fast as possible.
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
  app.addHook('onClose', () => pool.end())
  return async (slug, { ip, headers }) => {
    const { rows } = await pool.query<{ post_id: string }>({
      name: 'insert',
      text: 'insert into raw_views (post_id, ip, user_agent) select id, $2, $3 from posts where slug = $1 returning post_id',
      values: [slug, ip, headers['user-agent']],
    })
    const text = 'update posts set view_count = view_count + 1 where id = $1'
    await pool.query({ name: 'update', text, values: [rows[0]?.post_id] })
  }
}

/** Adds the route that our plugin has in mode `ours`. */
function addRoute(app: FastifyInstance, record: Record): void {
  app.post<{ Params: { slug: string } }>('/posts/:slug/views', async (request, reply) => {
    await record(request.params.slug, request)
    return reply.code(204).header('cache-control', 'no-store').send()
  })
}

const record = mode === 'ours' ? await recordOurs() : mode === 'original' ? recordOriginal() : async () => undefined
if (mode !== 'ours') addRoute(app, record)
app.post<{ Body: { from: number; views: number; atOnce: number; posts: number } }>('/record', async ({ body }) => {
  let next = body.from
  const headers = { 'user-agent': BROWSER }
  const runOne = async () => {
    while (next < body.from + body.views) {
      const number = next
      next += 1
      await record(slugOf(number, body.posts), { method: 'POST', ip: visitorAddress(number), headers })
    }
  }
  await Promise.all(Array.from({ length: body.atOnce }, runOne))
})
process.once('SIGTERM', () => void app.close())
process.stdout.write(`${await app.listen({ port: 0, host: '127.0.0.1' })}\n`)
