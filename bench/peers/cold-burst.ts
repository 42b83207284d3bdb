import { type LoadConnection, openConnections } from './connection.ts'

/** Times in milliseconds, from just before the first request. */
export interface Burst {
  /** Until all requests were sent. */
  sentMs: number
  /** Until the first reply. */
  firstMs: number
  /** Until the last reply. */
  allMs: number
}

interface BurstOptions {
  ports: readonly number[]
  /** Requests for each server, each over its own connection, which is open before the burst. */
  requests: number
  warmUp: string
}

/** Opens connections to servers; `send` sends one request on each of them at once. */
export async function openBurst({ ports, requests, warmUp }: BurstOptions) {
  const byServer: LoadConnection[][] = []
  // One server after the other: all connections at once would overrun the backlog of the listening sockets.
  for (const port of ports) byServer.push(await openConnections(port, requests, warmUp))
  // Round robin over the servers, as a load balancer does.
  const connections = Array.from({ length: requests }, (_none, index) =>
    byServer.flatMap((of) => of[index] ?? []),
  ).flat()

  /** @throws when a reply is not a 200. */
  async function send(request: string): Promise<Burst> {
    const startedAtMs = performance.now()
    const [statuses, repliedMs] = [new Set<string>(), [] as number[]]
    const replies = connections.map(
      ({ send }) =>
        new Promise<void>((resolve) =>
          send(request, (status) => {
            statuses.add(status)
            repliedMs.push(performance.now() - startedAtMs)
            resolve()
          }),
        ),
    )
    const sentMs = performance.now() - startedAtMs
    await Promise.all(replies)
    if ([...statuses].join() !== '200') throw new Error(`expected 200, got ${[...statuses].join()}`)
    return { sentMs, firstMs: repliedMs[0] ?? 0, allMs: repliedMs.at(-1) ?? 0 }
  }

  return {
    send,
    close() {
      for (const connection of connections) connection.close()
    },
  }
}
