import type { PopularPostsAttributes, PopularPostsEvent } from 'fastify-popular-posts/public/popular-posts.js'
import type { DefineComponent } from 'vue'

declare module 'vue' {
  interface GlobalComponents {
    'popular-posts': DefineComponent<PopularPostsAttributes & { onPopularPosts?: (event: PopularPostsEvent) => void }>
  }
}
