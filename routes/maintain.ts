import createError from '@fastify/error'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { codeOf } from '../lib/errors.ts'
import { loggedError } from '../lib/logged-error.ts'
import { RequestError } from '../lib/read-request.ts'
import { PARAMETERS } from '../lists/query.ts'
import { tokenResponses } from './admin-token.ts'
import { operation } from './operation.ts'
import { errorResponse, jsonResponse, retryAfterHeader } from './responses.ts'

const BadRequest = createError<[string]>('PP_BAD_REQUEST', '%s', 400)
const MaintenanceFailed = createError<[string]>('PP_MAINTENANCE_FAILED', '%s', 503)
const FAILED =
  'Expected the database and Redis to reply, but steps of the maintenance failed: see the log. The next run continues ' +
  'after the steps that succeeded.'

const queries = (description: string) =>
  Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }), { description }))

const body = Type.Object({
  lists: queries(
    `The lists to keep fresh: objects with ${PARAMETERS.join(', ')}. Default: the list without parameters.`,
  ),
  categories: queries(
    'The lists of categories to keep fresh: objects with `days`. Default: the list without parameters.',
  ),
  withinSeconds: Type.Optional(
    Type.Number({
      minimum: 0,
      default: 120,
      description: 'A list is loaded if it is stale, or becomes stale within this time.',
    }),
  ),
})

const report = Type.Object({
  views: Type.Integer({ minimum: 0, description: 'The number of views that were counted.' }),
  change: Type.Optional(
    Type.Enum(['hard', 'soft'], {
      description: 'The data have changed since the last run, so lists were invalidated in this mode.',
    }),
  ),
  lists: Type.Integer({ minimum: 0, description: 'The number of lists that were refreshed if necessary.' }),
})

const specOf = (operationId: string, summary: string) => ({
  operationId,
  summary,
  description:
    'For a schedule of once a minute, where processes end or are suspended between requests (`backgroundWork: false`): ' +
    'invalidates if the data have changed, counts views, and refreshes lists. Requires the admin token as a bearer token.',
  tags: ['operations'],
  response: {
    200: jsonResponse('All steps succeeded.', report, { views: 240, change: 'soft', lists: 2 }),
    ...tokenResponses,
    503: errorResponse(503, 'Steps failed; the other steps succeeded.', {
      code: 'PP_MAINTENANCE_FAILED',
      message: FAILED,
      headers: retryAfterHeader,
    }),
  },
})
const get = specOf('maintainByGet', 'Run the background tasks once, for schedules that send GET')
const post = specOf('maintain', 'Run the background tasks once')
const badRequest = errorResponse(400, 'The body is not such an object.', {
  code: 'PP_BAD_REQUEST',
  message: 'The maintenance expects no other keys than lists, categories, withinSeconds, got "list".',
})

export interface MaintainRouteOptions {
  /** @throws RequestError for a request that it does not know; AggregateError of the errors of the steps. */
  maintain: (request?: unknown) => Promise<object>
}

/** `POST` and `GET /posts/popular/maintain`: runs the background tasks once; requires the admin token. */
const maintainRoutes: FastifyPluginAsync<MaintainRouteOptions> = async (app, { maintain }) => {
  // Schedulers send types of their own choice, also without a body.
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null)
    else parseJson(request, text as string, done)
  })

  async function run({ body: request, log }: FastifyRequest): Promise<object> {
    try {
      return await maintain(request)
    } catch (error) {
      if (error instanceof RequestError) throw new BadRequest(error.message)
      if (!(error instanceof AggregateError)) throw error
      log.error({ err: loggedError(error) }, 'popular posts: steps of the maintenance failed')
      const badQuery: unknown = error.errors.find((each) => codeOf(each) === 'PP_BAD_QUERY')
      throw badQuery ?? Object.assign(new MaintenanceFailed(FAILED), { retryAfterMs: 1_000 })
    }
  }

  const path = '/posts/popular/maintain'
  app.get(path, { ...operation(app, get, {}), exposeHeadRoute: false }, run)
  const described = { ...post, response: { ...post.response, 400: badRequest } }
  app.post(path, operation(app, described, { body: Type.Optional(Type.Union([Type.Null(), body])) }), run)
}

export default maintainRoutes
