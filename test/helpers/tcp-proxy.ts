import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Teardown } from './program.ts'

/** How connections break: with FIN, with RST, or silently, as behind a firewall that drops their state. */
type CutKind = 'closed' | 'reset' | 'half-open'

/** Starts a TCP proxy to a server on 127.0.0.1 that can break its connections. It ends with the test. */
export async function startProxy(t: Teardown, port: number) {
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    const pair = [near, far] as const
    pairs.add(pair)
    near.pipe(far).pipe(near)
    for (const socket of pair) {
      // Errors are expected: the tests break connections.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        pairs.delete(pair)
        for (const other of pair) other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    for (const [near] of pairs) near.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(stop)
  return {
    port: (server.address() as AddressInfo).port,
    /** The number of open connections. */
    connections: () => pairs.size,
    /** Breaks all open connections. New connections work. */
    cut(how: CutKind): void {
      for (const [near, far] of pairs) {
        if (how === 'closed') near.end()
        if (how === 'reset') near.resetAndDestroy()
        if (how === 'half-open') {
          near.unpipe(far)
          far.unpipe(near)
          near.pause()
        }
      }
    },
  }
}
