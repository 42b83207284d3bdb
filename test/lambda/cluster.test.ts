import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import { parse } from 'yaml'
import { createRedisClient } from '../../lib/redis.ts'
import { fillBlog } from '../helpers/blog.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { packageService } from '../helpers/lambda/artifact.ts'
import { type HttpAnswer, httpApiEvent } from '../helpers/lambda/events.ts'
import { startLambda } from '../helpers/lambda/host.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'

const USER = 'popular-posts-dev'

t.test('ElastiCache Serverless: a Cluster over TLS, as the IAM user, with the rights of the template', async (t) => {
  const { directory, taskRoot } = await packageService(t)
  const certificate = await makeCertificate(t)
  const cluster = await startRedisCluster({ certificate })
  t.teardown(() => cluster.stop())
  // AWS checks the login; the rights of the user are those of our template.
  const resources = await readFile(join(directory, 'aws', 'resources.yml'), 'utf8')
  const { CacheUser } = parse(resources, { logLevel: 'silent' }) as Record<
    string,
    { Properties: { AccessString: string } }
  >
  const rights = CacheUser?.Properties.AccessString.trim().split(/\s+/) ?? []
  const lua = ['cache/lua', 'views/lua'].map(async (folder) =>
    (await readdir(folder)).map((name) => `${folder}/${name}`),
  )
  const files = ['views/redis-view-buffer.ts', ...(await Promise.all(lua)).flat()]
  const scripts = files.map((file) => readFile(file, 'utf8'))
  const called = [...(await Promise.all(scripts)).join('').matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(
    ([, name = '']) => `+${name.toLowerCase()}`,
  )
  t.ok(called.length > 50, 'the commands of the scripts')
  t.same(
    [...new Set(called)].filter((right) => !rights.includes(right)),
    [],
    'the user may run each of them',
  )
  // Redis before 7.2 lacks this name.
  const known = rights.filter((right) => right !== '+client|setinfo')
  await cluster.command('ACL', 'SETUSER', USER, 'reset', 'nopass', ...known)
  await cluster.command('ACL', 'SETUSER', 'default', '-@all', '+acl', '+client', '+cluster')

  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 5)
  const env = {
    DATABASE_URL: url,
    REDIS_URL: `rediss://${USER}@localhost:${cluster.tlsPorts[0]}`,
    REDIS_CLUSTER: 'true',
    REDIS_IAM_CACHE: USER,
    NODE_EXTRA_CA_CERTS: certificate.certFile,
  }
  const start = (name: string) => startLambda(t, { taskRoot, handler: `build/lambda/lambda.${name}`, env })
  const [api, flush, invalidate] = [await start('http'), await start('flush'), await start('invalidate')]
  const get = async (path: string, options = {}) => {
    const invoked = await api.invoke(httpApiEvent(path, options))
    return (
      invoked.status === 'returned' ? invoked.value : { statusCode: 500, body: JSON.stringify(invoked) }
    ) as HttpAnswer
  }
  t.match(await get('/posts/popular'), { statusCode: 200, headers: { 'cache-status': /stored/ } })
  t.match(await get('/posts/popular'), { statusCode: 200, headers: { 'cache-status': /hit/ } })

  let thaws = 0
  await t.test('a thaw with all connections closed', async (t) => {
    let answer: Partial<HttpAnswer> = {}
    do {
      thaws += 1
      await sleep(1_100)
      await cluster.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      answer = await get('/posts/popular')
      // On a busy machine a new connection may take longer than a command may.
    } while (thaws < 10 && /redis-down/.test(answer.headers?.['cache-status'] ?? ''))
    t.match(answer, { statusCode: 200, headers: { 'cache-status': /hit/ } })
  })
  await t.test('views are recorded and counted, and invalidations work', async (t) => {
    const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0' }
    t.match(await get('/posts/post-2/views', { method: 'POST', headers }), { statusCode: 204 })
    t.match(await flush.invoke({}), { status: 'returned', value: { views: 1, lists: 2 } })
    t.match(await invalidate.invoke({}), { status: 'returned' })
    t.match(await get('/posts/popular'), { statusCode: 200, headers: { 'cache-status': /stored/ } })
  })
  t.notMatch(
    api.said() + flush.said() + invalidate.said(),
    thaws === 1 ? /store-down|NOPERM|dropped/ : /NOPERM|dropped/,
  )
  t.same(await cluster.command('ACL', 'LOG'), ['0', '0', '0'], 'nothing was refused')
})

t.test('each new connection has a new password', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const admin = new Redis(server.url)
  t.teardown(() => admin.quit())
  let valid = 'the first token'
  const setPassword = () => admin.call('ACL', 'SETUSER', 'ann', 'reset', 'on', `>${valid}`, '~*', '&*', '+@all')
  await setPassword()
  const client = createRedisClient(`redis://ann@127.0.0.1:${server.port}`, false, () => valid)
  t.teardown(async () => client.disconnect())
  t.equal(await client.ping(), 'PONG')
  valid = 'the second token'
  await setPassword()
  await admin.call('CLIENT', 'KILL', 'USER', 'ann')
  t.equal(await client.ping(), 'PONG')
})

t.test('each new connection of a Cluster has a new password', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  let valid = 'first'
  const setPassword = () => cluster.command('ACL', 'SETUSER', 'ann', 'reset', 'on', `>${valid}`, '~*', '&*', '+@all')
  await setPassword()
  const url = `redis://ann@127.0.0.1:${cluster.nodes[0]?.port}`
  const client = createRedisClient(url, true, () => valid)
  t.teardown(async () => client.disconnect())
  t.equal(await client.set('key', 'value'), 'OK')
  valid = 'second'
  await setPassword()
  await cluster.command('CLIENT', 'KILL', 'USER', 'ann')
  await until(async () => (await client.get('key').catch(() => '')) === 'value', 'it is back')
  t.equal(await client.get('key'), 'value')
})
