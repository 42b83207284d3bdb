import Fastify, { type FastifyInstance } from 'fastify'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import type { Teardown } from './program.ts'

/** A line of the log, as pino writes it. */
export type LogLine = Record<string, unknown> & {
  level: number
  msg: string
  err?: { type: string; code?: string; message?: string }
}

/** An app of a host, whose log is kept from level debug on. It closes with the test. */
export function createLoggedApp(t: Teardown) {
  const lines: LogLine[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line) => lines.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  return {
    app,
    lines,
    /** The lines of an event of this package. */
    of: (event: string) => lines.filter(({ msg }) => msg === `popular posts: ${event}`),
    /** The texts of all lines from level warn on. */
    warnings: () => lines.filter(({ level }) => level >= 40).map(({ msg }) => msg),
  }
}

/** An app with the plugin. `load` is one post unless it is given. */
export async function startLoggedApp(t: Teardown, options: PopularPostsOptions) {
  const logged = createLoggedApp(t)
  const source = options.databaseUrl === undefined ? { load: async () => [{ slug: 'a' }] } : {}
  await logged.app.register(popularPosts, Object.assign(source, options))
  await logged.app.ready()
  return logged
}

/** The `Cache-Status` of a list, without its name and its numbers. */
export async function cacheStatus(app: FastifyInstance, query = ''): Promise<string> {
  const { headers } = await app.inject(`/posts/popular${query}`)
  return String(headers['cache-status'])
    .replace(/^popular-posts; /, '')
    .replace(/ttl=-?\d+/, 'ttl=N')
}
