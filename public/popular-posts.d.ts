/** A post of the list, as in the JSON of `GET /posts/popular`; the element needs no more fields than these. */
export interface PopularPostsItem {
  /** The slug: unique, as in the URL of the post. */
  slug: string
  /** The title, as plain text; empty or `null`: the post has none. */
  title?: string | null
  /** The address of the post: absolute, or a path. */
  url?: string
  /** Views in the window of the list. */
  views: number
  /** A summary, as plain text. */
  excerpt?: string
  /** The author; `null`: the post has none. */
  author?: { name: string; slug: string } | null
  /** The image; `null`: the post has none. */
  image?: { url: string; width: number | null; height: number | null; alt: string } | null
}

/** The state of the list: `fresh` from the service, `kept` from an earlier visit, or `failed`: there is none. */
export type PopularPostsState = 'fresh' | 'kept' | 'failed'

/** The event `popular-posts`, which bubbles after each list. */
export type PopularPostsEvent = CustomEvent<{
  state: PopularPostsState
  /** The posts of the list, with all fields that the service sends. */
  posts: PopularPostsItem[]
  /** The age of the list in the service's cache; `undefined`: unknown. */
  ageSeconds: number | undefined
}>

/** The attributes of the element, for JSX and templates; docs/element.md explains each. An empty one counts as not set. */
export interface PopularPostsAttributes {
  /** The address of the list. Default: `/posts/popular`. */
  src?: string
  /** The window in days; 0: all time. */
  days?: number | string
  /** The number of posts. */
  limit?: number | string
  /** The order. */
  sort?: 'views' | 'trending'
  /** The slug of a category. */
  category?: string
  /** The slug of a tag. */
  tag?: string
  /** The slug of an author. */
  author?: string
  /** Slugs to leave out, with spaces between them. */
  exclude?: string
  /** The slug of the post on this page, whose view is recorded. */
  record?: string
  /** The address of the list at the service that counts views. Default: `src`. */
  'record-src'?: string
  /** The name of the list for screen readers. */
  label?: string
  /** Whether the number of views is shown. */
  views?: boolean | '' | 'true' | 'false'
  /** What else of a post is shown: `image`, `excerpt`, `author`, with spaces between them. */
  show?: string
  /** Where the posts are, with `{slug}` in it. */
  link?: string
  /** The text after one view, or after a number of the form `one` of the page's language. */
  'text-view'?: string
  /** The text after another number of views. */
  'text-views'?: string
  /** The text after a number of the plural form `zero`. */
  'text-views-zero'?: string
  /** The text after a number of the plural form `one`. */
  'text-views-one'?: string
  /** The text after a number of the plural form `two`. */
  'text-views-two'?: string
  /** The text after a number of the plural form `few`. */
  'text-views-few'?: string
  /** The text after a number of the plural form `many`. */
  'text-views-many'?: string
  /** The text of an empty list. */
  'text-empty'?: string
  /** The text of a list that could not be refreshed. */
  'text-kept'?: string
  /** The text when there is no list. */
  'text-failed'?: string
  /** The title of a post without a title. */
  'text-untitled'?: string
}

/** The class of `<popular-posts>`. */
export class PopularPosts extends HTMLElement {
  /** The names of the attributes. */
  static observedAttributes: string[]
  /** Requests the list again, revalidating the browser's cache. Never rejects. */
  refresh(): Promise<void>
}

declare global {
  interface HTMLElementTagNameMap {
    'popular-posts': PopularPosts
  }
  interface HTMLElementEventMap {
    'popular-posts': PopularPostsEvent
  }
}
