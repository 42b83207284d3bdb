/** The cache for values of a host, in several processes that are suspended and killed, and over a Redis that goes away. */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createCache } from '../../composition/create-cache.ts'
import { runProgram } from '../helpers/program.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { endAtExit, forgetPid } from '../helpers/services/reaper.ts'
import { until } from '../helpers/services/until.ts'

const HOUR = { ttlSeconds: 3600 }

async function startProcess(t: Test, url: string, prefix: string) {
  const { child, says } = runProgram(t, 'test/fixtures/own-cache-process.ts', { args: [url, prefix], isCovered: false })
  const pid = child.pid ?? 0
  endAtExit(pid)
  child.once('exit', () => forgetPid(pid))
  // A suspended process does not react to SIGTERM.
  t.teardown(async () => void child.kill('SIGCONT'))
  const [address = ''] = await says(/http:\S+/)
  const ask = async (path: string, query: Record<string, string | number> = {}) => {
    const search = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    const response = await fetch(`${address}${path}?${search.join('&')}`)
    const body = (await response.json()) as { value?: string; code?: string }
    return body.value ?? body.code
  }
  return {
    get: (value: string, ms = 0) => ask('/get', { key: 'a', value, ms }),
    invalidate: () => ask('/invalidate', { key: 'a' }),
    loads: async () => Number(await ask('/loads')),
    outages: async () => Number(await ask('/outages')),
    kill: (signal: NodeJS.Signals) => child.kill(signal),
  }
}

async function startProcesses(t: Test) {
  const prefix = `own-${randomUUID()}`
  const url = await redisUrl()
  const [one, other] = await Promise.all([startProcess(t, url, prefix), startProcess(t, url, prefix)])
  return { one, other }
}

t.test('two processes with fifty requests each make one load, and one invalidates for both', async (t) => {
  const { one, other } = await startProcesses(t)
  const all = (value: string) =>
    Promise.all([one, other].flatMap(({ get }) => Array.from({ length: 50 }, () => get(value, 300))))
  /** Without an outage. On a busy machine a command may time out: then a process loads for itself. */
  const isOne = async (before: number) => {
    const outages = (await one.outages()) + (await other.outages())
    const loads = (await one.loads()) + (await other.loads()) - before
    t.ok(loads === 1 || (outages > 0 && loads === 2), `${loads} loads, ${outages} outages`)
    return before + loads
  }
  t.same([...new Set(await all('first'))], ['first'])
  const before = await isOne(0)
  await until(() => other.invalidate().then((code) => code === undefined), 'the invalidation is confirmed')
  t.same([...new Set(await all('second'))], ['second'])
  await isOne(before)
})

t.test('a process that is suspended while it loads stores no value from before an invalidation', async (t) => {
  const { one, other } = await startProcesses(t)
  const old = one.get('old', 300)
  await until(async () => (await one.loads()) === 1, 'it loads')
  one.kill('SIGSTOP')
  await other.invalidate()
  t.equal(await other.get('new'), 'new', 'the lease of the suspended process is not waited for')
  await other.invalidate()
  one.kill('SIGCONT')
  t.match(await old, /^(?:old|new)$/)
  t.equal(await one.loads(), 2, 'the value of the suspended load is refused, although no process has loaded since')
  await other.invalidate()
  t.equal(await one.get('newer'), 'newer')
  t.equal(await other.get('none'), 'newer')
})

t.test('when the process that loads dies, another one loads after its lease', async (t) => {
  const { one, other } = await startProcesses(t)
  const lost = one.get('lost', 60_000).catch(() => 'no reply')
  await until(async () => (await one.loads()) === 1, 'it loads')
  one.kill('SIGKILL')
  t.equal(await other.get('found'), 'found')
  t.equal(await lost, 'no reply')
})

t.test('while Redis is down each process loads for itself, and an invalidation is not confirmed', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const warnings: string[] = []
  const log = { debug() {}, info() {}, warn: (_details: object, message: string) => void warnings.push(message) }
  const cache = await createCache({ redisUrl: server.url, redisPrefix: `own-${randomUUID()}`, log })
  t.teardown(() => cache.close())
  let version = 1
  const load = async () => `version ${version}`
  t.equal(await cache.getOrSet('a', load, HOUR), 'version 1')
  await server.kill()
  version = 2
  // A value that the process has loaded for itself is kept for a second.
  await until(async () => (await cache.getOrSet('a', load, HOUR)) === 'version 2', 'it has no copy in the process')
  await t.rejects(cache.invalidate('a'), { code: 'PP_UNCONFIRMED', statusCode: 503 })
  await t.rejects(cache.invalidateAll(), { code: 'PP_UNCONFIRMED' })
  version = 3
  await cache.invalidate('a').catch(() => {})
  t.equal(await cache.getOrSet('a', load, HOUR), 'version 3', 'the process itself has nothing older')
  t.ok(warnings.includes('popular posts: store-down'))
  const again = await startRedis({ port: server.port })
  t.teardown(() => again.stop())
  await until(
    () =>
      cache.invalidate('a').then(
        () => true,
        () => false,
      ),
    'Redis is back',
  )
  version = 4
  t.equal(await cache.getOrSet('a', load, HOUR), 'version 4')
})
