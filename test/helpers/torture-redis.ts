import { startRedis } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'

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
 * Starts a Cluster of three masters. The keys of a prefix are in one slot, so one node stores all of them; half of the
 * faults are those of this node. Two seconds after any node fails, the others refuse all commands, because slots are
 * missing.
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
