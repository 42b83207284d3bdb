import t from 'tap'
import { findHostRedis, type HostRedis } from '../../lib/host-redis.ts'

const client = { callBuffer() {}, duplicate() {} } as unknown as HostRedis

t.test('the option redis names a client, or a namespace of @fastify/redis', async (t) => {
  t.equal(findHostRedis({}, client), client)
  t.equal(findHostRedis({ redis: client }, ''), client, 'without a namespace')
  t.equal(findHostRedis({ redis: { lists: client } }, 'lists'), client)
})

t.test('a name without a client throws PP_NO_SUCH_REDIS with the name', async (t) => {
  for (const [app, redis, message] of [
    [{}, '', /got ""/],
    [{ redis: client }, 'status', /got "status"/],
    [{ redis: { lists: client } }, '', /got ""/],
    [{}, {} as HostRedis, /got "something else"/],
  ] as const)
    t.throws(() => findHostRedis(app, redis), { code: 'PP_NO_SUCH_REDIS', message })
})
