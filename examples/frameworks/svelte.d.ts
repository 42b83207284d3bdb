import type {
  PopularPosts,
  PopularPostsAttributes,
  PopularPostsEvent,
} from 'fastify-popular-posts/public/popular-posts.js'
import type { HTMLAttributes } from 'svelte/elements'

declare module 'svelte/elements' {
  interface SvelteHTMLElements {
    'popular-posts': PopularPostsAttributes &
      HTMLAttributes<PopularPosts> & { 'onpopular-posts'?: (event: PopularPostsEvent) => void }
  }
}
