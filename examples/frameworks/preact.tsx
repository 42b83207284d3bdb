import 'fastify-popular-posts/public/popular-posts.js'
import type {
  PopularPosts,
  PopularPostsAttributes,
  PopularPostsEvent,
} from 'fastify-popular-posts/public/popular-posts.js'
import type { HTMLAttributes } from 'preact'
import { useRef } from 'preact/hooks'

declare module 'preact' {
  namespace JSX {
    interface IntrinsicElements {
      'popular-posts': PopularPostsAttributes &
        HTMLAttributes<PopularPosts> & { 'onpopular-posts'?: (event: PopularPostsEvent) => void }
    }
  }
}

/** The sidebar of a post: what is read this week, without the post itself, whose view is counted. */
export function Popular({ slug, track }: { slug: string; track: (state: string, posts: number) => void }) {
  const list = useRef<PopularPosts>(null)
  return (
    <section>
      <popular-posts
        ref={list}
        src="https://popular.example/posts/popular"
        days={7}
        limit={5}
        views
        show="image author"
        exclude={slug}
        record={slug}
        onpopular-posts={({ detail }) => track(detail.state, detail.posts.length)}
      />
      <button type="button" onClick={() => void list.current?.refresh()}>
        Refresh
      </button>
    </section>
  )
}
