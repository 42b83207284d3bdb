import type {
  PopularPosts,
  PopularPostsAttributes,
  PopularPostsEvent,
} from 'fastify-popular-posts/public/popular-posts.js'
import type { HTMLAttributes, PublicProps } from 'vue'

declare module 'vue' {
  interface GlobalComponents {
    'popular-posts': new () => PopularPosts & {
      $props: PopularPostsAttributes & HTMLAttributes & PublicProps
      $emit: (name: 'popular-posts', event: PopularPostsEvent) => void
    }
  }
}
