import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { popularPosts } from '../../index.ts'
import { createTokenCheck, GUESSES } from '../../routes/admin-token.ts'
import { until } from '../helpers/services/until.ts'

const adminToken = 'a token for the tests'

type Line = Record<string, unknown> & { msg: string }

/** An app with the route, and its log from level warn. */
async function createHost(t: Test, options: FastifyServerOptions = {}) {
  const lines: Line[] = []
  const stream = { write: (line: string) => lines.push(JSON.parse(line)) }
  const app = Fastify({ ...options, logger: { level: 'warn', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { load: async () => [], adminToken })
  return { app, lines }
}

function send(app: FastifyInstance, authorization?: string, request: { from?: string; forwardedFor?: string } = {}) {
  const { from: remoteAddress = '192.0.2.1', forwardedFor } = request
  return app.inject({
    method: 'POST',
    url: '/posts/popular/invalidate',
    remoteAddress,
    headers: {
      ...(authorization === undefined ? {} : { authorization }),
      ...(forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }),
    },
  })
}
const right = `Bearer ${adminToken}`

async function guess(app: FastifyInstance, times: number, request?: { from?: string; forwardedFor?: string }) {
  const statuses = new Map<number, number>()
  for (let number = 0; number < times; number += 1) {
    const { statusCode } = await send(app, `Bearer a wrong token ${number}`, request)
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  return Object.fromEntries(statuses)
}

t.test('after ten wrong tokens an address is refused, also with the right one', async (t) => {
  const { app, lines } = await createHost(t)
  t.same(await guess(app, 30), { 401: GUESSES.max, 429: 20 })
  const refused = await send(app, right)
  t.match(refused.json(), {
    statusCode: 429,
    code: 'PP_TOO_MANY_GUESSES',
    error: 'Too Many Requests',
    message: 'Expected at most 10 wrong admin tokens a minute from one address.',
  })
  t.equal(refused.headers['cache-control'], 'no-store')
  const seconds = Number(refused.headers['retry-after'])
  t.ok(seconds >= 1 && seconds <= 60, `retry-after: ${seconds}`)
  t.equal(app.popularPosts.stats().invalidations, 0)
  t.equal((await send(app, right, { from: '192.0.2.2' })).statusCode, 200, 'another address is not')
  t.equal((await app.inject('/posts/popular')).statusCode, 200, 'nor are lists')

  t.same(lines, [], 'no line for each')
  await app.close()
  t.match(lines, [{ level: 40, msg: 'popular posts: wrong admin tokens were sent', wrong: 10, refused: 21 }])
  t.notMatch(JSON.stringify(lines), /192\.0\.2|a wrong token|for the tests/)
})

t.test('parallel attempts are limited, too', async (t) => {
  const { app } = await createHost(t)
  const answers = await Promise.all(Array.from({ length: 200 }, (_, number) => send(app, `Bearer ${number}`)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 401).length, GUESSES.max)
})

t.test('the right token and a request without a token do not count as attempts', async (t) => {
  const { app, lines } = await createHost(t)
  for (let number = 0; number < 3 * GUESSES.max; number += 1) {
    t.equal((await send(app, right)).statusCode, 200)
    t.equal((await send(app)).statusCode, 401)
  }
  t.same(await guess(app, GUESSES.max - 1), { 401: GUESSES.max - 1 })
  t.equal((await send(app, right)).statusCode, 200, 'one guess is left')
  t.equal((await send(app, `bearer   ${adminToken}`)).statusCode, 200, 'the scheme is in any case')
  await app.close()
  t.match(lines, [{ wrong: GUESSES.max - 1, refused: 0 }])
})

t.test('the limit applies to the network of an address, and behind a trusted proxy to the client', async (t) => {
  await t.test('IPv6', async (t) => {
    const { app } = await createHost(t)
    t.same(await guess(app, GUESSES.max, { from: '2001:db8:1:2::1' }), { 401: GUESSES.max })
    t.equal((await send(app, right, { from: '2001:db8:1:2:ffff::9' })).statusCode, 429)
    t.equal((await send(app, right, { from: '2001:db8:1:3::1' })).statusCode, 200)
  })
  await t.test('a proxy', async (t) => {
    const { app } = await createHost(t, { trustProxy: '192.0.2.1' })
    t.same(await guess(app, GUESSES.max, { forwardedFor: '198.51.100.1' }), { 401: GUESSES.max })
    t.equal((await send(app, right, { forwardedFor: '198.51.100.1' })).statusCode, 429)
    t.equal((await send(app, right, { forwardedFor: '198.51.100.2' })).statusCode, 200)
  })
  await t.test('a proxy that is not trusted is one address', async (t) => {
    const { app } = await createHost(t)
    for (let number = 0; number < GUESSES.max; number += 1)
      await guess(app, 1, { forwardedFor: `198.51.100.${number}` })
    t.equal((await send(app, right)).statusCode, 429)
  })
})

t.test('a window ends with a line in the log, and all networks may try again', async (t) => {
  const logged: object[] = []
  const { check, close } = createTokenCheck(
    adminToken,
    { warn: (details: object) => logged.push(details) } as never,
    20,
  )
  const codeOf = (authorization: string) => {
    try {
      check({ headers: { authorization }, ip: '192.0.2.1' })
      return 'right'
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  for (let number = 0; number < GUESSES.max; number += 1) t.equal(codeOf('Bearer x'), 'PP_UNAUTHORIZED')
  t.equal(codeOf(right), 'PP_TOO_MANY_GUESSES')
  await until(() => logged.length > 0, 'the window has ended')
  t.same(logged, [{ wrong: GUESSES.max, refused: 1 }])
  t.equal(codeOf(right), 'right')
  close()
  t.equal(logged.length, 1, 'nothing is left to say')
})

t.test('a token that cannot be sent is refused at registration', async (t) => {
  const unusable = [
    '',
    'short',
    ' '.repeat(20),
    ` ${adminToken}`,
    `${adminToken}\n`,
    '\u00a0'.repeat(20),
    'ü'.repeat(20),
  ]
  for (const adminToken of unusable) {
    const app = Fastify()
    const registering = Promise.resolve(app.register(popularPosts, { load: async () => [], adminToken }))
    await t.rejects(registering, {
      code: 'PP_INVALID_OPTIONS',
      message: /adminToken: expected at least 16 printable ASCII characters, .*, got something else/,
    })
  }
})
