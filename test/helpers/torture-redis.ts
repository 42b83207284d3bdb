import { setTimeout as sleep } from 'node:timers/promises'
import type { Teardown } from './program.ts'
import { startRedis } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { redisCommand } from './redis-command.ts'
import { until } from './services/until.ts'
import { startProxy } from './tcp-proxy.ts'

/** A Redis of one or several nodes whose nodes can be killed and frozen, one at a time. */
interface TorturedRedis {
  /** The `redisUrl` of a member. */
  url: string
  kill(): Promise<void>
  /** Resolves when all nodes run again, without the data of the killed node. */
  revive(): Promise<void>
  freeze(): Promise<void>
  /** Resolves when all nodes run again. */
  thaw(): Promise<void>
  stop(): Promise<void>
  /** Further faults. They resolve when the new master takes commands. */
  failovers?: readonly Failover[]
}

interface Failover {
  name: string
  /** Whether it loses writes that were confirmed. */
  isLossy: boolean
  run(): Promise<void>
}

export async function singleRedis(): Promise<TorturedRedis> {
  let server = await startRedis()
  return {
    url: server.url,
    kill: () => server.stop(),
    async revive() {
      server = await startRedis({ port: server.port })
    },
    freeze: () => server.kill('SIGSTOP'),
    thaw: () => server.kill('SIGCONT'),
    stop: () => server.stop(),
  }
}

/**
 * A master and a replica behind one address, which leads new connections to the master. After a failover the old master
 * stays up, as the replica, and keeps the connections that it has.
 * @param random from 0 to 1
 */
export async function replicatedRedis(t: Teardown, random: () => number): Promise<TorturedRedis> {
  let master = await startRedis()
  let replica = await startRedis()
  const wire = await startProxy(t, master.port)
  const follow = (one: typeof master, other: typeof master) =>
    redisCommand(one.port, 'REPLICAOF', '127.0.0.1', String(other.port))
  const isMaster = async ({ port }: typeof master) =>
    (await redisCommand(port, 'INFO', 'replication')).includes('role:master')
  const isSynchronized = () =>
    until(async () => (await redisCommand(replica.port, 'INFO', 'replication')).includes('link_status:up'), 'in sync')
  const swap = () => {
    ;[master, replica] = [replica, master]
    wire.leadTo(master.port)
  }
  await follow(replica, master)
  await isSynchronized()
  return {
    url: `redis://127.0.0.1:${wire.port}`,
    kill: () => master.stop(),
    async revive() {
      master = await startRedis({ port: master.port })
    },
    freeze: () => master.kill('SIGSTOP'),
    thaw: () => master.kill('SIGCONT'),
    stop: async () => {
      await Promise.all([master.stop(), replica.stop()])
    },
    failovers: [
      {
        name: 'replica promoted, nothing lost',
        isLossy: false,
        async run() {
          await isSynchronized()
          const failOver = () =>
            redisCommand(master.port, 'FAILOVER', 'TO', '127.0.0.1', String(replica.port)).then(
              () => true,
              () => false,
            )
          await until(failOver, 'the master takes the replica to be online')
          await until(() => isMaster(replica), 'the replica is the master')
          swap()
        },
      },
      {
        name: 'replica promoted, writes lost',
        isLossy: true,
        async run() {
          await isSynchronized()
          await redisCommand(replica.port, 'REPLICAOF', 'NO', 'ONE')
          // Members that are still connected to the old master write to it.
          await sleep(500 * random())
          swap()
          await sleep(500 * random())
          await follow(replica, master)
        },
      },
      {
        name: 'snapshot restored',
        isLossy: true,
        async run() {
          await redisCommand(master.port, 'SAVE')
          await sleep(3_000 * random())
          const { port, directory } = master
          await master.kill()
          master = await startRedis({ port, directory })
        },
      },
    ],
  }
}

/**
 * A Cluster of three masters. The keys of a prefix are in one slot, so one node holds all of them, and every second
 * fault hits that node. Two seconds after any node is gone, the others refuse all commands, because slots are missing.
 * @param random from 0 to 1
 */
export async function redisCluster(random: () => number, prefix: string): Promise<TorturedRedis> {
  const { nodes, ownerOf, revive, whole, stop } = await startRedisCluster()
  const owner = await ownerOf(`{${prefix}}`)
  let target = owner
  const next = () => {
    target = random() < 0.5 ? owner : Math.floor(random() * nodes.length)
    return nodes[target]
  }
  return {
    url: nodes.map((node) => node.url).join(),
    async kill() {
      await next()?.kill()
    },
    revive: () => revive(target),
    async freeze() {
      await next()?.kill('SIGSTOP')
    },
    async thaw() {
      await nodes[target]?.kill('SIGCONT')
      await whole()
    },
    stop,
  }
}
