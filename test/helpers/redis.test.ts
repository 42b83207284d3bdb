import t from 'tap'
import { provideRedis, redisUrl, retryOnTakenPort, startRedis } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { redisCommand } from './redis-command.ts'

t.test('a process has one shared Redis, which replies', async (t) => {
  const url = await redisUrl()
  t.equal(await redisUrl(), url)
  t.equal(await redisCommand(Number(new URL(url).port), 'PING'), 'PONG')
})

t.test('a private Redis can be killed, restarted on its port, frozen and stopped', async (t) => {
  const first = await startRedis({ args: ['--maxmemory', '50mb'] })
  t.match(first.description, /^Redis \d/)
  t.match(await redisCommand(first.port, 'INFO', 'memory'), 'maxmemory_human:50.00M')
  t.equal(await redisCommand(first.port, 'SET', 'key', 'välue\r\n'), 'OK')
  t.equal(await redisCommand(first.port, 'GET', 'key'), 'välue\r\n')
  t.equal(await redisCommand(first.port, 'GET', 'nothing'), '')
  t.equal(await redisCommand(first.port, 'DBSIZE'), '1')
  await t.rejects(redisCommand(first.port, 'NONSENSE'), { message: /^ERR unknown command/ })

  await first.kill()
  await first.kill()
  await t.rejects(redisCommand(first.port, 'PING'), { code: 'ECONNREFUSED' })
  const second = await startRedis({ port: first.port })
  t.equal(await redisCommand(second.port, 'DBSIZE'), '0')
  await t.rejects(startRedis({ port: first.port }), { message: /Address already in use/ })

  await second.kill('SIGSTOP')
  const answer = redisCommand(second.port, 'PING')
  t.equal(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100, 'frozen'))]), 'frozen')
  await second.kill('SIGCONT')
  t.equal(await answer, 'PONG')
  await Promise.all([first.stop(), second.stop()])
})

t.test('a cluster forms, routes keys to masters, and can be stopped after a node was killed', async (t) => {
  const cluster = await startRedisCluster({ masters: 3 })
  t.teardown(() => cluster.stop())
  t.equal(cluster.nodes.length, 3)
  const answers = await Promise.all(
    cluster.nodes.map(({ port }) => redisCommand(port, 'SET', 'key', 'value').catch(String)),
  )
  t.same(answers.map((answer) => answer.replace(/ .*/, '')).sort(), ['Error:', 'Error:', 'OK'])
  await cluster.nodes[0]?.kill()
})

t.test('a start is retried only when its port was taken', async (t) => {
  const { port, stop } = await startRedis()
  t.teardown(stop)
  const ports = [port]
  const launchAt = (taken?: number) => (taken === undefined ? startRedis() : startRedis({ port: taken }))
  const second = await retryOnTakenPort(() => launchAt(ports.shift()))
  t.not(second.port, port)
  await second.stop()
  let starts = 0
  const fail = async () => {
    starts += 1
    throw new Error('Redis ended: out of memory')
  }
  await t.rejects(retryOnTakenPort(fail), { message: /out of memory/ })
  t.equal(starts, 1)
})

t.test('the Redis of the test run comes first, then REDIS_URL', async (t) => {
  t.match(await provideRedis({ TEST_REDIS_URL: 'redis://run', REDIS_URL: 'redis://given' }), { url: 'redis://run' })
  t.match(await provideRedis({ REDIS_URL: 'redis://given' }), { url: 'redis://given' })
})
