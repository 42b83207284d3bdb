import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { RedisServer } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { redisCommand } from './redis-command.ts'
import { until } from './services/until.ts'
import type { TorturedRedis } from './torture-redis.ts'

/**
 * A Cluster of three masters. The keys of a prefix are in one slot, so one node holds all of them, and every second
 * fault hits that node. Two seconds after any node is gone, the others refuse all commands, because slots are missing.
 * @param random from 0 to 1
 * @param hasReplica adds a replica of the node that holds the keys, which takes over where that node is away for two
 * seconds.
 */
export async function redisCluster(random: () => number, prefix: string, hasReplica: boolean): Promise<TorturedRedis> {
  const cluster = await startRedisCluster()
  const { nodes, whole } = cluster
  const first = await cluster.ownerOf(`{${prefix}}`)
  const at = (index: number): RedisServer => {
    const node = nodes[index]
    if (node === undefined) throw new RangeError(`expected a node, got ${index}`)
    return node
  }
  const slot = await redisCommand(at(first).port, 'CLUSTER', 'KEYSLOT', `{${prefix}}`)
  const idOf = (index: number) => redisCommand(at(index).port, 'CLUSTER', 'MYID')
  if (hasReplica) await cluster.addReplica(await idOf(first))
  await whole()
  const spare = nodes.length - 1
  const replicationOf = (index: number) => redisCommand(at(index).port, 'INFO', 'replication')
  const isMaster = async (index: number) => (await replicationOf(index)).includes('role:master')
  /** The node with the keys: the first owner, or the replica that was promoted. */
  let owner = first
  let target = owner
  /** Waits until one of the pair is the master, and the other one its replica. */
  async function settle(): Promise<boolean> {
    await whole()
    if (!hasReplica) return false
    const before = owner
    await until(async () => {
      const [isFirst, isSpare] = [await isMaster(first), await isMaster(spare)]
      owner = isSpare ? spare : first
      const other = owner === first ? spare : first
      return isFirst !== isSpare && (await replicationOf(other)).includes('link_status:up')
    }, 'the node with the keys has a replica')
    return owner !== before
  }
  const next = () => {
    target = random() < 0.5 ? owner : Math.floor(random() * nodes.length)
    return at(target)
  }
  const promote = async (...how: string[]) => {
    await settle()
    const replica = owner === first ? spare : first
    let sentAtMs = 0
    await until(async () => {
      if (await isMaster(replica)) return true
      // Redis gives up a failover after five seconds, and does not try again by itself.
      if (Date.now() - sentAtMs > 6_000) {
        sentAtMs = Date.now()
        await redisCommand(at(replica).port, 'CLUSTER', 'FAILOVER', ...how)
      }
      return false
    }, 'the replica is the master')
    await settle()
  }
  const failovers = [
    { name: 'replica promoted, nothing lost', isLossy: false, run: () => promote() },
    { name: 'replica promoted, writes lost', isLossy: true, run: () => promote('TAKEOVER') },
    {
      name: 'slot moved there and back',
      isLossy: false,
      async run() {
        await settle()
        const elsewhere = (first + 1) % 3
        await move(owner, elsewhere)
        await sleep(2_000 * random())
        await move(elsewhere, owner)
        await settle()
      },
    },
  ]

  /** Moves the keys of the prefix to another master, in two steps, so that for a moment they are on both. */
  async function move(from: number, to: number): Promise<void> {
    const [fromId, toId] = [await idOf(from), await idOf(to)]
    await redisCommand(at(to).port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
    await redisCommand(at(from).port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    const admin = new Redis(at(from).url)
    try {
      for (const count of [3, 1_000_000]) {
        const keys = (await admin.call('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[]
        if (keys.length > 0)
          await admin.call('MIGRATE', '127.0.0.1', at(to).port, '', 0, 5_000, 'REPLACE', 'KEYS', ...keys)
        await sleep(200 * random())
      }
    } finally {
      admin.disconnect()
    }
    for (const index of [to, from, 0, 1, 2])
      if (await isMaster(index)) await redisCommand(at(index).port, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
  }

  return {
    address: { redisUrl: nodes.map((node) => node.url).join() },
    async kill() {
      await next().kill()
    },
    async revive() {
      await cluster.revive(target)
      await settle()
    },
    async freeze() {
      await next().kill('SIGSTOP')
    },
    async thaw() {
      await at(target).kill('SIGCONT')
      return settle()
    },
    stop: cluster.stop,
    ...(hasReplica && { failovers }),
  }
}
