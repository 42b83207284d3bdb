import { Type } from 'typebox'

const named = () => ({
  name: Type.String({ description: 'What readers see.' }),
  slug: Type.String({ description: 'What addresses have, and filters take.' }),
})
const count = (description: string) => Type.Integer({ minimum: 0, description })
const pixels = () => Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])

const EXAMPLE_POST = {
  id: 58,
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

/** A post of a list, as `PopularPost` of `db/ranking.ts`. */
export const post = {
  example: EXAMPLE_POST,
  schema: Type.Object(
    {
      id: Type.Union([Type.Integer(), Type.String()], { description: 'A number, or a text such as a UUID.' }),
      slug: Type.String({ description: 'Unique; what `exclude` takes.' }),
      title: Type.String(),
      url: Type.String({ description: 'Where the post is, absolute or from the root of the site.' }),
      excerpt: Type.String({ description: 'May be empty.' }),
      publishedAt: Type.String({ format: 'date-time', description: 'ISO 8601, UTC.' }),
      author: Type.Union([Type.Object(named()), Type.Null()]),
      categories: Type.Array(Type.Object(named())),
      tags: Type.Array(Type.String(), { description: 'Names.' }),
      image: Type.Union([
        Type.Object({
          url: Type.String(),
          width: pixels(),
          height: pixels(),
          alt: Type.String({ description: 'The text in its place.' }),
        }),
        Type.Null(),
      ]),
      readingMinutes: count('How long it takes to read.'),
      commentCount: count('Approved comments.'),
      views: count('Views in the window.'),
      totalViews: count('Views of all time.'),
    },
    { title: 'PopularPost', description: 'A post of a list.' },
  ),
}

/** As `PopularCategory` of `db/categories.ts`. */
export const category = {
  example: { name: 'Mishaps', slug: 'mishaps', postCount: 9, views: 5120 },
  schema: Type.Object(
    {
      ...named(),
      postCount: count('Live posts in it.'),
      views: count('The views that those posts had in the window.'),
    },
    { title: 'PopularCategory', description: 'A category, with what was read of it.' },
  ),
}

/** Items of a list of the host's own making. */
export const own = {
  example: { slug: 'hello-world' },
  schema: Type.Object({}, { additionalProperties: true, description: "An item of the site's own making." }),
}

/** Every error. */
export const error = Type.Object(
  {
    statusCode: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ description: 'For programs: `PP_…`, or `FST_…` where it is of Fastify.' }),
    error: Type.String({ description: 'The name of the status.' }),
    message: Type.String({ description: 'For people: what was expected, and what came.' }),
  },
  { title: 'PopularPostsError', description: "An error, in Fastify's own shape." },
)
