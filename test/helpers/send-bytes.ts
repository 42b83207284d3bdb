import { connect } from 'node:net'

/** Sends bytes (`latin1` text) unchanged. Resolves to everything received until the connection closes. */
export function sendBytes(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(Buffer.from(bytes, 'latin1'))
      // A client that sends nothing closes the connection itself.
      if (bytes === '') socket.end()
    })
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? undefined : reject(error),
    )
    socket.on('close', () => resolve(answer))
  })
}

/** The status code of a reply; 0 without one. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
}
