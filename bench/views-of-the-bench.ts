/** How a view is recorded: see `views-server.ts`. */
export type Way = 'ours' | 'original' | 'nothing'

export const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** Of another visitor for each number. */
export function addressOf(number: number): string {
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
}

/** Most views are of a few posts: a fifth of the views of a hundred posts are of the first one. */
export function slugOf(number: number, posts: number): string {
  return `post-${Math.floor(posts * ((number * 0.618_034) % 1) ** 3)}`
}
