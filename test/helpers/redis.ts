import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../db/embedded/server.ts'
import { redisCommand } from './redis-command.ts'
import { findRedis } from './services/find-redis.ts'
import { endAtExit, forgetPid, removeAtExit } from './services/reaper.ts'
import { until } from './services/until.ts'

interface TestRedisOptions {
  /** The port. Default: a free one. The port of a killed server restarts that server. */
  port?: number
  /** Further arguments of redis-server, as in `['--maxmemory', '10mb']`. */
  args?: readonly string[]
  /** The data folder. Default: a new one. The folder of a killed node restarts that node of its Cluster. */
  directory?: string
  /** Variables for its environment, beside those of this process. */
  env?: Readonly<Record<string, string>>
  /** Whether it is a Sentinel, which watches nothing yet. Default false. */
  isSentinel?: boolean
}

export type RedisServer = Awaited<ReturnType<typeof startRedis>>

/** Calls `start`, and calls it again if another program took a port after `freePort` found it. */
export async function retryOnTakenPort<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start()
    } catch (error) {
      if (attempt === 3 || !/Address already in use/.test(String(error))) throw error
    }
  }
}

/** Starts an empty Redis that the caller may stop, freeze and kill. It ends with this process. */
export function startRedis(options: TestRedisOptions = {}) {
  const { port } = options
  if (port !== undefined) return launch(port, options)
  return retryOnTakenPort(async () => launch(await freePort(), options))
}

async function launch(port: number, options: TestRedisOptions) {
  const { args = [], directory: kept, env: own, isSentinel = false } = options
  const { program, env, version, from } = await findRedis()
  const directory = kept ?? (await mkdtemp(join(tmpdir(), 'popular-posts-redis-')))
  removeAtExit(directory)
  const log = await open(join(directory, 'redis.log'), 'w')
  const sentinel = isSentinel ? [join(directory, 'sentinel.conf'), '--sentinel'] : []
  if (isSentinel) await writeFile(join(directory, 'sentinel.conf'), '', { flag: 'a' })
  const all = [
    ...sentinel,
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    directory,
    '--save',
    '',
    '--appendonly',
    'no',
  ]
  const child = spawn(program, [...all, ...args], {
    detached: true, // Ctrl-C must not end it, because the tests still use it while they end.
    env: { ...process.env, ...env, ...own },
    stdio: ['ignore', log.fd, log.fd],
  })
  const pid = child.pid ?? 0
  endAtExit(pid)
  const exit = once(child, 'exit')
  exit.then(() => forgetPid(pid))
  await Promise.all([once(child, 'spawn'), log.close()])
  child.unref()
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  await until(async () => {
    if (hasEnded()) throw new Error(`Redis ended: ${await readFile(join(directory, 'redis.log'), 'utf8')}`)
    // Another server may already listen on the port.
    return redisCommand(port, 'INFO', 'server').then(
      (reply) => reply.includes(`\nprocess_id:${pid}\r`),
      () => false,
    )
  }, 'Redis answers')

  /** Sends a signal: SIGSTOP freezes the process, SIGCONT continues it, SIGKILL ends it. Waits after SIGKILL. */
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (hasEnded()) return
    child.ref()
    child.kill(signal)
    if (signal === 'SIGKILL') await exit
    child.unref()
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid,
    directory,
    /** The version and the origin of the server, for the output. */
    description: `Redis ${version} (${from})`,
    kill,
    /** Ends the server and removes its folder. */
    async stop() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

let shared: Promise<string> | undefined

/**
 * The Redis that all tests share. A test uses its own prefix, and never flushes the server.
 * The server is that of the test run, else `REDIS_URL`, else one that this process starts.
 */
export function redisUrl(): Promise<string> {
  shared ??= provideRedis().then((service) => service.url)
  return shared
}

/** Finds the Redis of the environment, else starts one. */
export async function provideRedis(env = process.env): Promise<{ url: string; description: string }> {
  const given = env['TEST_REDIS_URL'] ?? env['REDIS_URL']
  return given === undefined ? startRedis() : { url: given, description: 'the Redis of REDIS_URL' }
}
