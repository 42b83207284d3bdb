import { freePort } from '../../db/embedded/server.ts'
import { type Certificate, tlsArguments } from './certificate.ts'
import type { Teardown } from './program.ts'
import { type RedisServer, retryOnTakenPort, startRedis } from './redis.ts'
import { redisCommand } from './redis-command.ts'
import { until } from './services/until.ts'

const SLOTS = 16_384

/** Starts a Redis Cluster that ends with a test. Resolves to the addresses of its nodes, as in `REDIS_URL`. */
export async function clusterUrl(t: Teardown): Promise<string> {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  return cluster.nodes.map(({ url }) => url).join()
}

/**
 * Starts a Redis Cluster of masters on 127.0.0.1 with evenly distributed slots. The cluster is ready when the promise
 * resolves.
 * @param options.certificate makes the nodes also listen with TLS on other ports, and announce these to TLS clients.
 */
export async function startRedisCluster({ masters = 3, certificate }: ClusterOptions = {}) {
  const nodes = await Promise.all(Array.from({ length: masters }, () => retryOnTakenPort(() => startNode(certificate))))
  const share = Math.ceil(SLOTS / masters)
  await Promise.all(
    nodes.map(async ({ server }, index) => {
      const last = Math.min(SLOTS, (index + 1) * share) - 1
      // With equal epochs the nodes would first have to resolve a conflict.
      await redisCommand(server.port, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
      await redisCommand(server.port, 'CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last))
    }),
  )
  const servers = nodes.map((node) => node.server)
  const isWhole = async () =>
    (await Promise.all(nodes.map(({ server }) => isFormed(server, nodes.length, masters)))).every(Boolean)
  const meeting = servers.flatMap((from) => nodes.filter((to) => to.server !== from).map((to) => ({ from, to })))
  for (const { from, to } of meeting) {
    const port = to.tlsPort || to.server.port
    await redisCommand(from.port, 'CLUSTER', 'MEET', '127.0.0.1', String(port), String(to.busPort))
  }
  await until(isWhole, 'the cluster has formed')
  return {
    /** The servers of the nodes. */
    nodes: servers,
    /** The TLS port of each node; 0 without a certificate. */
    tlsPorts: nodes.map((node) => node.tlsPort),
    /** Sends a command to every node. */
    command: (...args: string[]) => Promise.all(servers.map(({ port }) => redisCommand(port, ...args))),
    /** The index of the node that stores a key. */
    async ownerOf(key: string): Promise<number> {
      return Math.floor(Number(await redisCommand(nodes[0]?.server.port ?? 0, 'CLUSTER', 'KEYSLOT', key)) / share)
    },
    /** Adds a replica of the master with this id; it ends with the Cluster. */
    async addReplica(masterId: string): Promise<RedisServer> {
      const node = await retryOnTakenPort(() => startNode(certificate))
      const { server, busPort } = node
      nodes.push(node)
      servers.push(server)
      const first = nodes[0]?.server.port ?? 0
      await redisCommand(first, 'CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(busPort))
      await until(
        async () => (await redisCommand(server.port, 'CLUSTER', 'NODES')).includes(masterId),
        'it has met them',
      )
      await until(
        () =>
          redisCommand(server.port, 'CLUSTER', 'REPLICATE', masterId).then(
            () => true,
            () => false,
          ),
        'it knows its master',
      )
      const isSynced = async () => (await redisCommand(server.port, 'INFO', 'replication')).includes('link_status:up')
      await until(isSynced, 'the replica is synced')
      return server
    },
    /** Brings a killed node back, without its data, and waits until all nodes find the cluster whole. */
    async revive(index: number): Promise<void> {
      const node = nodes[index]
      if (node === undefined) throw new RangeError(`expected one of ${nodes.length} nodes, got ${index}`)
      const { port, directory } = node.server
      servers[index] = node.server = await startRedis({ port, directory, args: node.args })
      await until(isWhole, 'the cluster is whole again')
    },
    /** Waits until all nodes report the cluster as complete, as after SIGCONT. */
    whole: () => until(isWhole, 'the cluster is whole again'),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

interface ClusterOptions {
  masters?: number
  certificate?: Certificate
}

interface Node {
  server: RedisServer
  busPort: number
  /** 0 without TLS. */
  tlsPort: number
  args: string[]
}

async function startNode(certificate?: Certificate): Promise<Node> {
  // The default bus port is the port + 10,000, which another program may use, or which is above 65,535.
  const busPort = await freePort()
  const cluster = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000']
  const tlsPort = certificate === undefined ? 0 : await freePort()
  const tls = certificate === undefined ? [] : [...tlsArguments(tlsPort, certificate), '--tls-cluster', 'yes']
  const args = [...cluster, '--cluster-announce-ip', '127.0.0.1', ...tls]
  return { server: await startRedis({ args }), busPort, tlsPort, args }
}

async function isFormed(server: RedisServer, known: number, masters: number): Promise<boolean> {
  const info = await redisCommand(server.port, 'CLUSTER', 'INFO')
  const wanted = ['cluster_state:ok', `cluster_known_nodes:${known}`, `cluster_size:${masters}`]
  return wanted.every((line) => info.includes(`${line}\r\n`))
}
