import { connect, type Socket } from 'node:net'

interface BurstOptions {
  port: number
  connections: number
  /** So many requests are sent at once on each connection (HTTP pipelining), then as many answers awaited. */
  pipelined: number
  /** How many are sent in all, at least. */
  requests: number
  /** An HTTP/1.1 request. */
  request: string
}

const ANSWER = Buffer.from('HTTP/1.1 ')
const CHUNKED_END = Buffer.from('\r\n0\r\n\r\n')

/**
 * Sends a request again and again, as fast as it is answered: for the processor time that a server needs. Pipelined, so
 * that the client needs as little as can be.
 * @throws when an answer is not the first one's status.
 */
export async function sendBursts({ port, connections, pipelined, requests, request }: BurstOptions): Promise<string> {
  const burst = Buffer.from(request.repeat(pipelined))
  const statuses = new Set<string>()
  let left = requests

  function run(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
      let received: Buffer = Buffer.alloc(0)
      const send = () => {
        if (left <= 0) {
          socket.destroy()
          resolve()
          return
        }
        left -= pipelined
        received = Buffer.alloc(0)
        socket.write(burst)
      }
      socket.on('connect', send)
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
        const last = lastOf(received, pipelined)
        if (last === undefined) return
        statuses.add(last)
        send()
      })
    })
  }

  await Promise.all(Array.from({ length: connections }, run))
  if (statuses.size !== 1) throw new Error(`expected one status, got ${[...statuses].join(', ')}`)
  return [...statuses].join()
}

/** The status of the last of so many answers; not before all of it is there. */
function lastOf(received: Buffer, answers: number): string | undefined {
  let start = -1
  for (let answer = 0; answer < answers; answer += 1) {
    start = received.indexOf(ANSWER, start + 1)
    if (start === -1) return undefined
  }
  const headEnd = received.indexOf('\r\n\r\n', start)
  if (headEnd === -1) return undefined
  const head = received.toString('latin1', start, headEnd)
  const status = head.slice(9, 12)
  // What is compressed as it is sent has no length, but an end.
  if (/^transfer-encoding: *chunked/im.test(head))
    return received.subarray(-CHUNKED_END.length).equals(CHUNKED_END) ? status : undefined
  const length = status === '304' ? 0 : Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  return received.length < headEnd + 4 + length ? undefined : status
}
