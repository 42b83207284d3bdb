// test/types.test.ts compiles this file as a separate program, because its declarations apply to the whole program.
import Fastify from 'fastify'
import popularPosts, { type PopularPosts } from 'fastify-popular-posts'

interface Article {
  slug: string
  headline: string
}

declare module 'fastify-popular-posts' {
  interface PopularPostsTypes {
    post: Article
  }
}

const app = Fastify()
await app.register(popularPosts, { load: async ({ limit }) => [{ slug: 'a', headline: `One of ${limit}` }] })
const articles: Article[] = await app.popularPosts.get({ limit: 3 })
const refreshed: Article[] = await app.popularPosts.refresh()
export const headlines: string[] = [...articles, ...refreshed].map((article) => article.headline)

// @ts-expect-error -- an Article has no title
export const titles = articles.map((article) => article.title)
// @ts-expect-error -- what is loaded must be an Article
app.register(popularPosts, { load: async () => [{ slug: 'a' }] })

interface Recipe {
  slug: string
  minutes: number
}

const recipes = app.getDecorator<PopularPosts<Recipe>>('popularPosts')
export const minutes: number[] = (await recipes.get()).map((recipe) => recipe.minutes)
