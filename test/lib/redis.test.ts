import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { freePort } from '../../db/embedded/server.ts'
import { createRedisClient } from '../../lib/redis.ts'
import { makeCertificate, tlsArguments } from '../helpers/certificate.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { startRedis } from '../helpers/redis.ts'
import { redisCommand } from '../helpers/redis-command.ts'

t.test('a URL creates a client that connects only on connect()', async (t) => {
  const client = createRedisClient('redis://ann:p%40ss@cache.example:6380/2')
  t.ok(client instanceof Redis)
  t.equal(client.status, 'wait')
  t.match(client.options, {
    host: 'cache.example',
    port: 6380,
    db: 2,
    username: 'ann',
    password: 'p@ss',
    lazyConnect: true,
  })
  t.equal((client as Redis).options.tls, undefined)
  t.match(createRedisClient('redis://cache.example').options, { port: 6379, db: 0 })
  t.match(createRedisClient('rediss://cache.example').options, { tls: { servername: 'cache.example' } })
})

t.test('several URLs, or a URL with the cluster option, create a Cluster', async (t) => {
  for (const client of [
    createRedisClient('redis://:secret@a.example:7001,redis://:secret@b.example:7002'),
    createRedisClient('rediss://:secret@a.example:7001', true),
  ]) {
    t.ok(client instanceof Cluster)
    t.match((client as Cluster).options, { lazyConnect: true, redisOptions: { password: 'secret' } })
    client.disconnect()
  }
})

t.test('over TLS', async (t) => {
  const certificate = await makeCertificate(t)
  const tlsPort = await freePort()
  const redis = await startRedis({ args: tlsArguments(tlsPort, certificate) })
  t.teardown(() => redis.stop())
  const invalidate = (env: NodeJS.ProcessEnv) =>
    runProgram(t, 'bin/popular-posts.ts', {
      args: ['invalidate'],
      env: { REDIS_URL: `rediss://localhost:${tlsPort}`, ...env },
    })
  const trusting = invalidate({ NODE_EXTRA_CA_CERTS: certificate.certFile })
  t.equal(await trusting.ended(), 0, trusting.stderr())
  const wary = invalidate({})
  t.equal(await wary.ended(), 1, 'an unknown certificate is not trusted')
  t.match(wary.stderr(), /^Redis in REDIS_URL could not be reached \(/)
})

t.test('the commands sign in with IAM', async (t) => {
  const certificate = await makeCertificate(t)
  const tlsPort = await freePort()
  const redis = await startRedis({ args: tlsArguments(tlsPort, certificate) })
  t.teardown(() => redis.stop())
  // Without a token the client sends no user, and the default user is disabled.
  await redisCommand(redis.port, 'ACL', 'SETUSER', 'ann', 'on', 'nopass', '~*', '&*', '+@all')
  await redisCommand(redis.port, 'ACL', 'SETUSER', 'default', 'off')
  const { url } = await createTestDatabase(t)
  const env = {
    DATABASE_URL: url,
    REDIS_URL: `rediss://ann@localhost:${tlsPort}`,
    NODE_EXTRA_CA_CERTS: certificate.certFile,
    REDIS_IAM_CACHE: 'lists',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKID',
    AWS_SECRET_ACCESS_KEY: 'secret',
  }
  for (const command of ['invalidate', 'flush']) {
    const program = runProgram(t, 'bin/popular-posts.ts', { args: [command], env })
    t.equal(await program.ended(), 0, `${command}: ${program.stderr()}`)
  }
})
