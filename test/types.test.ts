import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPost, type PopularPosts } from '../index.ts'
import { run } from './helpers/checkout.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

t.test('posts are of the type that a host declares', async (t) => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const said = await run(root, process.execPath, tsc, '-p', 'test/types').catch(
    (error: { stdout: string }) => error.stdout,
  )
  t.equal(said, '')
})

t.test('without a declaration they are ours, and a load may answer any objects', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { load: async () => [{ slug: 'a', stars: 5 }] })
  const posts: PopularPost[] = await app.popularPosts.get()
  t.equal(posts[0]?.slug, 'a')
  // @ts-expect-error -- not one of ours
  t.equal(posts[0]?.stars, 5)
  const own = app.getDecorator<PopularPosts<{ slug: string; stars: number }>>('popularPosts')
  t.equal((await own.get())[0]?.stars.toFixed(), '5')
})
