import { setTimeout as sleep } from 'node:timers/promises'
import type { Teardown } from './program.ts'
import { startRedis } from './redis.ts'
import { redisCommand } from './redis-command.ts'
import { until } from './services/until.ts'
import { createShiftedClock } from './shifted-clock.ts'
import { startProxy } from './tcp-proxy.ts'

/** A Redis of one or several nodes whose nodes can be killed and frozen, one at a time. */
export interface TorturedRedis {
  /** The options of a member that lead to it. */
  address: { redisUrl: string } | { sentinels: { host: string; port: number }[] }
  kill(): Promise<void>
  /** Resolves when all nodes run again, without the data of the killed node. */
  revive(): Promise<void>
  freeze(): Promise<void>
  /**
   * Resolves when all nodes run again: to whether another node was promoted, so that two masters took writes until the one
   * that was frozen knew it.
   */
  thaw(): Promise<boolean>
  stop(): Promise<void>
  /** Further faults. They resolve when the new master takes commands. */
  failovers?: readonly Failover[]
  /** What this machine cannot try, and why. */
  skipped?: string
}

export interface Failover {
  name: string
  /** Whether it can lose an invalidation that was confirmed, as docs/cache.md says. */
  isLossy: boolean
  /**
   * Whether the old master takes writes beside the new one for a time. A member that is connected to one of them does not
   * see an invalidation that another member makes on the other.
   */
  hasTwoMasters?: boolean
  run(): Promise<void>
}

export async function singleRedis(): Promise<TorturedRedis> {
  let server = await startRedis()
  return {
    address: { redisUrl: server.url },
    kill: () => server.stop(),
    async revive() {
      server = await startRedis({ port: server.port })
    },
    freeze: () => server.kill('SIGSTOP'),
    async thaw() {
      await server.kill('SIGCONT')
      return false
    },
    stop: () => server.stop(),
  }
}

/**
 * A master and a replica behind one address, which leads new connections to the master. After a failover the old master
 * stays up, as the replica, and keeps the connections that it has. Each has a clock of its own, where libfaketime can be
 * downloaded.
 * @param random from 0 to 1
 */
export async function replicatedRedis(t: Teardown, random: () => number): Promise<TorturedRedis> {
  const start = async (
    clock: Awaited<ReturnType<typeof createShiftedClock>>,
    options: { port?: number; directory?: string } = {},
  ) => {
    const server = await startRedis({ ...options, ...(clock && { env: clock.env }) })
    // A master sends its data to a replica over the network only after a pause by its clock, which does not end when the
    // clock was set back.
    await redisCommand(server.port, 'CONFIG', 'SET', 'repl-diskless-sync', 'no')
    return { clock, server }
  }
  let [master, replica] = [await start(await createShiftedClock()), await start(await createShiftedClock())]
  /** Starts the server of a node again, on its port and with its clock. */
  const restart = ({ clock, server: { port } }: typeof master, directory?: string) =>
    start(clock, { port, ...(directory && { directory }) })
  const wire = await startProxy(t, master.server.port)
  const follow = (one: typeof master, other: typeof master) =>
    redisCommand(one.server.port, 'REPLICAOF', '127.0.0.1', String(other.server.port))
  const replicationOf = ({ server: { port } }: typeof master) => redisCommand(port, 'INFO', 'replication')
  const isMaster = async (node: typeof master) => (await replicationOf(node)).includes('role:master')
  const isSynchronized = () => until(async () => (await replicationOf(replica)).includes('link_status:up'), 'in sync')
  const swap = () => {
    ;[master, replica] = [replica, master]
    wire.leadTo(master.server.port)
  }
  await follow(replica, master)
  await isSynchronized()
  const clockSetBack = {
    name: 'clock set back or forward',
    isLossy: false,
    // At most an hour behind. The clocks of the two nodes differ.
    run: async () => master.clock?.set(Math.round(random() < 0.3 ? 0 : -3_600 * random())),
  }
  return {
    address: { redisUrl: `redis://127.0.0.1:${wire.port}` },
    kill: () => master.server.stop(),
    async revive() {
      master = await restart(master)
    },
    freeze: () => master.server.kill('SIGSTOP'),
    async thaw() {
      await master.server.kill('SIGCONT')
      return false
    },
    stop: async () => {
      await Promise.all([master.server.stop(), replica.server.stop()])
    },
    failovers: [
      {
        name: 'replica promoted, nothing lost',
        isLossy: false,
        async run() {
          await isSynchronized()
          const failOver = () =>
            redisCommand(master.server.port, 'FAILOVER', 'TO', '127.0.0.1', String(replica.server.port)).then(
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
          await redisCommand(replica.server.port, 'REPLICAOF', 'NO', 'ONE')
          // Members that are still connected to the old master write to it.
          await sleep(500 * random())
          swap()
          await sleep(500 * random())
          await follow(replica, master)
        },
      },
      {
        // Its history differs, so nothing of the snapshot is served.
        name: 'snapshot restored',
        isLossy: false,
        async run() {
          await redisCommand(master.server.port, 'SAVE')
          await sleep(3_000 * random())
          await master.server.kill()
          master = await restart(master, master.server.directory)
        },
      },
      ...(master.clock ? [clockSetBack] : []),
    ],
    ...(!master.clock && { skipped: 'a clock that is set back, because libfaketime cannot be downloaded' }),
  }
}
