import { once } from 'node:events'
import { connect } from 'node:net'
import { lengthOf } from '../http-load.ts'

/** A keep-alive connection with one request at a time. */
export interface LoadConnection {
  /** Sends a request; `hear` gets the status of its answer, once all of that is there. */
  ask(request: string, hear: (status: string) => void): void
  close(): void
}

export async function openConnection(port: number): Promise<LoadConnection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let heard: ((status: string) => void) | undefined
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    const end = lengthOf(received)
    if (end === undefined || received.length < end) return
    const status = received.slice(9, 12)
    const hear = heard
    received = ''
    heard = undefined
    hear?.(status)
  })
  await once(socket, 'connect')
  return {
    ask(request, hear) {
      heard = hear
      socket.write(request)
    },
    close: () => socket.destroy(),
  }
}

/** Connections that have each been answered once: the server knows them, and has warm code. */
export async function openConnections(port: number, count: number, request: string): Promise<LoadConnection[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => openConnection(port)))
  await Promise.all(connections.map(({ ask }) => new Promise<string>((resolve) => ask(request, resolve))))
  return connections
}
