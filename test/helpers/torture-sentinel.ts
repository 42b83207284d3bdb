import { startRedis } from './redis.ts'
import { redisCommand } from './redis-command.ts'
import { until } from './services/until.ts'
import type { TorturedRedis } from './torture-redis.ts'

const NAME = 'torture'

/**
 * A master and a replica that three Sentinels watch. They promote the replica a second after the master is gone. A master
 * that comes back takes writes, without its data, until the Sentinels make it the replica.
 */
export async function watchedRedis(): Promise<TorturedRedis> {
  const nodes = [await startRedis(), await startRedis()]
  const sentinels = await Promise.all([1, 2, 3].map(() => startRedis({ isSentinel: true })))
  const [first = 0, second = 0] = nodes.map(({ port }) => port)
  await redisCommand(second, 'REPLICAOF', '127.0.0.1', String(first))
  await until(async () => (await replicationOf(second)).includes('link_status:up'), 'the replica is in sync')
  for (const { port } of sentinels) {
    await redisCommand(port, 'SENTINEL', 'MONITOR', NAME, '127.0.0.1', String(first), '2')
    await redisCommand(port, 'SENTINEL', 'SET', NAME, 'down-after-milliseconds', '1000', 'failover-timeout', '4000')
  }
  /** What the Sentinels say of the master: its port, and whether it is up and all know each other and the replica. */
  async function watched(): Promise<{ port: number; isReady: boolean }> {
    const told = await Promise.all(sentinels.map(({ port }) => redisCommand(port, 'INFO', 'sentinel')))
    const ports = new Set(told.map((text) => Number(/address=[^:]+:(\d+)/.exec(text)?.[1])))
    const isReady = told.every((text) => text.includes('status=ok') && /slaves=1,sentinels=3/.test(text))
    return { port: [...ports][0] ?? 0, isReady: ports.size === 1 && isReady }
  }
  let port = first
  /** Waits until the Sentinels agree on a master that has its replica. */
  async function settle(): Promise<boolean> {
    const before = port
    await until(async () => {
      const now = await watched()
      port = now.port
      const other = port === first ? second : first
      return (
        now.isReady &&
        (await replicationOf(port)).includes('role:master') &&
        (await replicationOf(other)).includes('link_status:up')
      )
    }, 'the Sentinels agree on a master that has its replica')
    return port !== before
  }
  await settle()
  const index = () => (port === first ? 0 : 1)
  let target = 0
  const fault = async (signal: NodeJS.Signals) => {
    target = index()
    await nodes[target]?.kill(signal)
  }
  return {
    address: { sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })) },
    kill: () => fault('SIGKILL'),
    async revive() {
      const killed = target === 0 ? first : second
      nodes[target] = await startRedis({ port: killed })
      await settle()
    },
    freeze: () => fault('SIGSTOP'),
    async thaw() {
      await nodes[target]?.kill('SIGCONT')
      return settle()
    },
    async stop() {
      await Promise.all([...sentinels, ...nodes].map((server) => server.stop()))
    },
    failovers: [
      {
        name: 'SENTINEL FAILOVER',
        // The old master takes writes until the Sentinels make it the replica of the new one.
        isLossy: true,
        hasTwoMasters: true,
        async run() {
          const failOver = () =>
            redisCommand(sentinels[0]?.port ?? 0, 'SENTINEL', 'FAILOVER', NAME).then(
              () => true,
              () => false,
            )
          await until(failOver, 'the Sentinels take the replica to be good')
          await settle()
        },
      },
    ],
  }
}

function replicationOf(port: number): Promise<string> {
  return redisCommand(port, 'INFO', 'replication').catch(() => '')
}
