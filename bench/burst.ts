import { connect, type Socket } from 'node:net'

interface BurstOptions {
  port: number
  connections: number
  /** Requests that a connection sends at once (HTTP pipelining). Then it waits for as many replies. */
  pipelined: number
  /** The least number of requests in all. */
  requests: number
  /** An HTTP/1.1 request; or a function that makes one from its number. */
  request: string | ((number: number) => string)
}

const ANSWER = Buffer.from('HTTP/1.1 ')
const CHUNKED_END = Buffer.from('\r\n0\r\n\r\n')

/**
 * Sends a request repeatedly, or different ones, as fast as the server replies, to measure the processor time of the server. Requests are
 * pipelined, so that the client needs little processor time itself.
 * @returns the status of all replies.
 * @throws when the replies have different statuses.
 */
export async function sendBursts({ port, connections, pipelined, requests, request }: BurstOptions): Promise<string> {
  const burstOf = createBursts(request, pipelined)
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
        const first = requests - left
        left -= pipelined
        received = Buffer.alloc(0)
        socket.write(burstOf(first))
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

/** Returns a function that makes a burst from the number of its first request. Equal requests are joined once. */
function createBursts(request: BurstOptions['request'], pipelined: number): (first: number) => Buffer | string {
  if (typeof request !== 'string')
    return (first) => Array.from({ length: pipelined }, (_none, at) => request(first + at)).join('')
  const burst = Buffer.from(request.repeat(pipelined))
  return () => burst
}

/** The status of the last reply; `undefined` until the last reply is complete. */
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
  // A reply that the server compresses while it sends has no content-length, but a last chunk.
  if (/^transfer-encoding: *chunked/im.test(head))
    return received.subarray(-CHUNKED_END.length).equals(CHUNKED_END) ? status : undefined
  const length = status === '304' ? 0 : Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  return received.length < headEnd + 4 + length ? undefined : status
}
