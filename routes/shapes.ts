import { Type } from 'typebox'

const named = () => ({
  name: Type.String({ description: 'The name that readers see.' }),
  slug: Type.String({ description: 'The slug, as in URLs and for the filters.' }),
})
const count = (description: string) => Type.Integer({ minimum: 0, description })
const pixels = () => Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])

const EXAMPLE_POST = {
  id: '58',
  slug: 'goat-has-my-map',
  title: 'A goat has eaten my map, and other reasons to look up',
  url: '/posts/goat-has-my-map',
  excerpt: 'It took the whole of the northern sheet and seemed to enjoy the contour lines most.',
  publishedAt: '2026-11-17T09:30:00.000Z',
  author: { name: 'Maren Holt', slug: 'maren' },
  categories: [{ name: 'Mishaps', slug: 'mishaps' }],
  tags: ['Maps', 'Mountains'],
  image: null,
  readingMinutes: 5,
  commentCount: 5,
  views: 1164,
  totalViews: 1164,
}

/** A post of a list: `PopularPost` of `db/ranking.ts`. */
export const postItem = {
  example: EXAMPLE_POST,
  schema: Type.Object(
    {
      id: Type.String({ description: 'The id as text, whatever its type: a number would lose digits above 2^53.' }),
      slug: Type.String({ description: 'The unique slug, which `exclude` compares.' }),
      title: Type.String(),
      url: Type.String({ description: 'The address of the post: absolute, or a path from the root of the site.' }),
      excerpt: Type.String({ description: 'A summary; may be empty.' }),
      publishedAt: Type.String({ format: 'date-time', description: 'The time of publication: ISO 8601, UTC.' }),
      author: Type.Union([Type.Object(named()), Type.Null()]),
      categories: Type.Array(Type.Object(named())),
      tags: Type.Array(Type.String(), { description: 'The names of the tags.' }),
      image: Type.Union([
        Type.Object({
          url: Type.String(),
          width: pixels(),
          height: pixels(),
          alt: Type.String({ description: 'The alternative text.' }),
        }),
        Type.Null(),
      ]),
      readingMinutes: count('The reading time in minutes.'),
      commentCount: count('The number of approved comments.'),
      views: count('Views in the window.'),
      totalViews: count('Views of all time.'),
    },
    { title: 'PopularPost', description: 'A post of a list.' },
  ),
}

/** A category of the list of categories: `PopularCategory` of `db/categories.ts`. */
export const categoryItem = {
  example: { name: 'Mishaps', slug: 'mishaps', postCount: 9, views: 5120 },
  schema: Type.Object(
    {
      ...named(),
      postCount: count('The number of live posts in the category.'),
      views: count('Views of these posts in the window.'),
    },
    { title: 'PopularCategory', description: 'A category, with the number of its posts and their views.' },
  ),
}

/** An item of a list that the host's own `load` returns. */
export const customItem = {
  example: { slug: 'hello-world' },
  schema: Type.Object({}, { additionalProperties: true, description: 'An item of the own query of the site.' }),
}

/** The shape of every error. */
export const errorSchema = Type.Object(
  {
    statusCode: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ description: 'The code for programs: `PP_…`, or `FST_…` for errors of Fastify.' }),
    error: Type.String({ description: 'The name of the HTTP status.' }),
    message: Type.String({ description: 'The message for people: what was expected, and what came.' }),
  },
  { title: 'PopularPostsError', description: 'An error, in the shape of Fastify.' },
)
