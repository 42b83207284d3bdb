import { once } from 'node:events'
import { connect } from 'node:net'
import { lengthOf } from '../http-load.ts'

/** A keep-alive connection with one request at a time. */
export interface LoadConnection {
  /** Sends a request; calls `onReply` with the status when the reply is complete. */
  send(request: string, onReply: (status: string) => void): void
  close(): void
}

export async function openConnection(port: number): Promise<LoadConnection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let pending: ((status: string) => void) | undefined
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    const end = lengthOf(received)
    if (end === undefined || received.length < end) return
    const status = received.slice(9, 12)
    const onReply = pending
    received = ''
    pending = undefined
    onReply?.(status)
  })
  await once(socket, 'connect')
  return {
    send(request, onReply) {
      pending = onReply
      socket.write(request)
    },
    close: () => socket.destroy(),
  }
}

/** Opens connections and sends one request on each: so the server has accepted them and has compiled its code. */
export async function openConnections(port: number, count: number, request: string): Promise<LoadConnection[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => openConnection(port)))
  await Promise.all(connections.map(({ send }) => new Promise<string>((resolve) => send(request, resolve))))
  return connections
}
