import { startRedis } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'

/** A Redis, of one node or several, to kill and to freeze; one node at a time. */
interface TorturedRedis {
  /** What a member takes as `redisUrl`. */
  url: string
  kill(): Promise<void>
  /** Resolves when all of it is there, without the data of the killed node. */
  revive(): Promise<void>
  freeze(): Promise<void>
  /** Resolves when all of it is there. */
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
 * A Cluster of three masters. The keys of a prefix are in one slot, so one node holds all of them, and every second
 * fault is its; but two seconds after any node is gone the others refuse all commands, because slots are missing.
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
