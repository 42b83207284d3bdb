import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { openConnection, openConnections } from './connection.ts'

interface SteadyLoadOptions {
  ports: readonly number[]
  /** Requests a second over all servers, evenly spaced, in turn. */
  perSecond: number
  seconds: number
  request: string
}

/** A request with its reply. Times are as of `Date.now()`. */
export interface TimedReply {
  dueAtMs: number
  /** From the due time, not the time of sending, so that a delayed client does not hide the latency of readers. */
  latencyMs: number
  /** The delay of the client itself. */
  lateMs: number
}

/** Connections to each server at the start. The load opens more while replies wait for a query. */
const CONNECTIONS = 50

/**
 * Sends an open-loop load: it sends each request at its due time, without waiting for earlier replies. The rate has to
 * be far below the capacity of the machine, so that latency is that of the server, not of a queue for a processor.
 * @throws when a reply is not a 200.
 */
export async function sendSteadily({ ports, perSecond, seconds, request }: SteadyLoadOptions): Promise<TimedReply[]> {
  const idle = await Promise.all(ports.map((port) => openConnections(port, CONNECTIONS, request)))
  const [everyMs, ticks] = [1000 / perSecond, perSecond * seconds]
  const replies: TimedReply[] = []
  const statuses = new Set<string>()
  const pending = new Set<Promise<void>>()

  async function send(server: number, dueAtMs: number): Promise<void> {
    const connection = idle[server]?.pop() ?? (await openConnection(ports[server] ?? 0))
    const lateMs = now() - dueAtMs
    statuses.add(await new Promise<string>((resolve) => connection.send(request, resolve)))
    replies.push({ dueAtMs, lateMs, latencyMs: now() - dueAtMs })
    idle[server]?.push(connection)
  }

  const ticker = new Worker(new URL('ticker.ts', import.meta.url), { workerData: { everyMs, ticks } })
  let startedAtMs: number | undefined
  ticker.on('message', (tick: number) => {
    startedAtMs ??= now()
    const sent = send(tick % ports.length, startedAtMs + tick * everyMs).finally(() => pending.delete(sent))
    pending.add(sent)
  })
  await once(ticker, 'exit')
  await Promise.all(pending)
  for (const connection of idle.flat()) connection.close()
  if ([...statuses].join() !== '200') throw new Error(`expected 200, got ${[...statuses].join()}`)
  return replies
}

/** As `Date.now()`, with fractions. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
