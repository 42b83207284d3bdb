/** The argument of your own `load`: which posts a list has. */
export interface ListQuery {
  /** The order: by views in the window, or by views that fade with a half-life of one day (`trending`). */
  sort: 'views' | 'trending'
  /** The window in days; 0 is all time. */
  days: number
  /** The number of items to load: `maxLimit`, or 50 more for `exclude`. Shorter lists are the first items of it. */
  limit: number
  /** The slug of the category of all posts; `undefined`: any. It is one of `loadFilters`, as those of the other filters. */
  category?: string
  /** The slug of the tag of all posts; `undefined`: any. */
  tag?: string
  /** The slug of the author of all posts; `undefined`: any. */
  author?: string
  /** The language of all posts, as a BCP 47 tag in lower case, such as `pt-br`; `en` is for `en-gb`, too. `undefined`: any. */
  language?: string
}

/** The argument of your own `onListsChanged`. */
export interface ListsChange {
  /**
   * `hard`: from now on no process serves a list that was loaded before. `soft`: each list may be served once more, while it
   * is loaded again.
   */
  mode: 'hard' | 'soft'
}
