import Fastify from 'fastify'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import type { Teardown } from './program.ts'

/** An app with the plugin behind a proxy, which counts the requests for lists that reach it. Its lists have a version. */
export async function startOrigin(t: Teardown, options: PopularPostsOptions = {}, loadMs = 0) {
  const app = Fastify()
  t.teardown(() => app.close())
  const seen: { url: string; status: number; encoding: string; ifNoneMatch: string | undefined }[] = []
  const state = { version: 1, seen, app }
  await app.register(popularPosts, {
    load: async () => {
      await new Promise((resolve) => setTimeout(resolve, loadMs))
      // More than a kilobyte, so that it is compressed.
      return Array.from({ length: 40 }, (_none, index) => ({
        slug: `post-${index}`,
        title: `Title of version ${state.version}`,
      }))
    },
    ...options,
  })
  app.get('/health/live', async () => ({ status: 'ok' }))
  app.addHook('onResponse', async ({ url, headers }, { statusCode: status }) => {
    if (url.startsWith('/posts')) {
      const { 'accept-encoding': encoding = '', 'if-none-match': ifNoneMatch } = headers
      seen.push({ url, status, encoding: String(encoding), ifNoneMatch })
    }
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  return Object.assign(state, { address })
}
