import { type LoadConnection, openConnections } from './connection.ts'

/** Milliseconds from before the first request was sent. */
export interface Burst {
  /** All requests had been sent. */
  sentMs: number
  /** The first answer was there. */
  firstMs: number
  /** All answers were there. */
  allMs: number
}

interface BurstOptions {
  ports: readonly number[]
  /** How many each server gets at once, each over a connection of its own, which is open before the clock starts. */
  requests: number
  warmUp: string
}

/** Connections to servers, to send as many requests at once, again and again. */
export async function openBurst({ ports, requests, warmUp }: BurstOptions) {
  const byServer: LoadConnection[][] = []
  // One server after the other: all at once overrun the queues of connections that nobody has accepted yet.
  for (const port of ports) byServer.push(await openConnections(port, requests, warmUp))
  // In turn, as a load balancer would.
  const connections = Array.from({ length: requests }, (_none, index) =>
    byServer.flatMap((of) => of[index] ?? []),
  ).flat()

  /** @throws when an answer is not a 200. */
  async function send(request: string): Promise<Burst> {
    const startedAtMs = performance.now()
    const [statuses, answeredMs] = [new Set<string>(), [] as number[]]
    const answers = connections.map(
      ({ ask }) =>
        new Promise<void>((resolve) =>
          ask(request, (status) => {
            statuses.add(status)
            answeredMs.push(performance.now() - startedAtMs)
            resolve()
          }),
        ),
    )
    const sentMs = performance.now() - startedAtMs
    await Promise.all(answers)
    if ([...statuses].join() !== '200') throw new Error(`expected 200, got ${[...statuses].join()}`)
    return { sentMs, firstMs: answeredMs[0] ?? 0, allMs: answeredMs.at(-1) ?? 0 }
  }

  return {
    send,
    close() {
      for (const connection of connections) connection.close()
    },
  }
}
