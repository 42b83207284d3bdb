import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { openConnection, openConnections } from './connection.ts'

interface SteadyLoadOptions {
  ports: readonly number[]
  /** In all, over the servers in turn, evenly spaced. */
  perSecond: number
  seconds: number
  request: string
}

/** A request that was answered. Moments as of `Date.now()`. */
export interface Asked {
  dueAtMs: number
  /**
   * From when it was due, not from when it was sent: a client that is held up does not hide what visitors would see.
   */
  latencyMs: number
  /** How late the client was itself. */
  lateMs: number
}

/** More than are ever in use, unless answers wait for a query; then more are opened. */
const CONNECTIONS = 50

/**
 * An open-loop load: requests are sent when they are due, whether or not earlier ones have been answered. Far below
 * what the machine can do, so that what is slow is the server, and not the queue for a processor.
 * @throws when an answer is not a 200.
 */
export async function sendSteadily({ ports, perSecond, seconds, request }: SteadyLoadOptions): Promise<Asked[]> {
  const idle = await Promise.all(ports.map((port) => openConnections(port, CONNECTIONS, request)))
  const [everyMs, ticks] = [1000 / perSecond, perSecond * seconds]
  const asked: Asked[] = []
  const statuses = new Set<string>()
  const underWay = new Set<Promise<void>>()

  async function send(server: number, dueAtMs: number): Promise<void> {
    const connection = idle[server]?.pop() ?? (await openConnection(ports[server] ?? 0))
    const lateMs = now() - dueAtMs
    statuses.add(await new Promise<string>((resolve) => connection.ask(request, resolve)))
    asked.push({ dueAtMs, lateMs, latencyMs: now() - dueAtMs })
    idle[server]?.push(connection)
  }

  const ticker = new Worker(new URL('ticker.ts', import.meta.url), { workerData: { everyMs, ticks } })
  let startedAtMs: number | undefined
  ticker.on('message', (tick: number) => {
    startedAtMs ??= now()
    const sent = send(tick % ports.length, startedAtMs + tick * everyMs).finally(() => underWay.delete(sent))
    underWay.add(sent)
  })
  await once(ticker, 'exit')
  await Promise.all(underWay)
  for (const connection of idle.flat()) connection.close()
  if ([...statuses].join() !== '200') throw new Error(`expected 200, got ${[...statuses].join()}`)
  return asked
}

/** As `Date.now()`, with fractions. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
