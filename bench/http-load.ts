import { connect, type Socket } from 'node:net'

interface LoadOptions {
  port: number
  /** Keep-alive connections, each with one request at a time. */
  connections: number
  requests: number
  /** The pause of a connection after a reply. Default: none, so that the server is never idle. */
  pauseMs?: number
  /** Creates an HTTP/1.1 request from its number. */
  requestOf: (number: number) => string
}

interface LoadResult {
  seconds: number
  /** The latency of each request. */
  latenciesMs: Float64Array
  /** The number of replies by status. */
  statuses: Record<string, number>
}

/**
 * Sends requests over many connections at once and waits for the replies. It writes to sockets itself, because on two
 * cores a client library would take processor time from the server.
 */
export async function sendLoad({
  port,
  connections,
  requests,
  pauseMs = 0,
  requestOf,
}: LoadOptions): Promise<LoadResult> {
  const latenciesMs = new Float64Array(requests)
  const statuses: Record<string, number> = {}
  let next = 0

  function runConnection(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
      let number = 0
      let sentAtMs = 0
      let received = ''
      const send = () => {
        if (next === requests) {
          socket.destroy()
          resolve()
          return
        }
        number = next
        next += 1
        sentAtMs = performance.now()
        socket.write(requestOf(number))
      }
      socket.setEncoding('latin1')
      socket.on('connect', send)
      socket.on('error', reject)
      socket.on('data', (text: string) => {
        received += text
        const end = lengthOf(received)
        if (end === undefined || received.length < end) return
        const status = received.slice(9, 12)
        statuses[status] = (statuses[status] ?? 0) + 1
        latenciesMs[number] = performance.now() - sentAtMs
        received = ''
        if (pauseMs > 0) setTimeout(send, pauseMs)
        else send()
      })
    })
  }

  const startedAtMs = performance.now()
  await Promise.all(Array.from({ length: connections }, runConnection))
  return { seconds: (performance.now() - startedAtMs) / 1000, latenciesMs, statuses }
}

/** The length of a reply, head and body; `undefined` until its head is complete. */
export function lengthOf(received: string): number | undefined {
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const [, length = '0'] = /^content-length: *(\d+)/im.exec(received.slice(0, headEnd)) ?? []
  return headEnd + 4 + Number(length)
}
