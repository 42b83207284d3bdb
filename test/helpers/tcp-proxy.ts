import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Teardown } from './program.ts'

/** How connections break: with FIN, with RST, or silently, as behind a firewall that drops their state. */
type CutKind = 'closed' | 'reset' | 'half-open'

/** Starts a TCP proxy to a server on 127.0.0.1 that can break its connections. It ends with the test. Default port: a free one. */
export async function startProxy(t: Teardown, port: number, ownPort = 0) {
  const pairs = new Set<readonly [Socket, Socket]>()
  let target = port
  let isSilent = false
  const silent = new Set<Socket>()
  const server = createServer((near) => {
    if (isSilent) {
      silent.add(near.on('error', () => undefined))
      return
    }
    const far = connect(target, '127.0.0.1')
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
  server.listen(ownPort, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    if (!server.listening) return
    for (const near of [...[...pairs].map(([near]) => near), ...silent]) near.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  t.teardown(stop)
  return {
    port: (server.address() as AddressInfo).port,
    /** Leads new connections to another server. Those that there are stay where they are, as after a failover. */
    leadTo(next: number): void {
      target = next
    },
    /** How many connections there are now. */
    connections: () => pairs.size,
    /** How many connections have got no word. */
    silenced: () => silent.size,
    /** Ends all connections. The port is free then. */
    stop,
    /** Breaks all connections that there are. New ones work. */
    cut,
    /** Breaks all connections that there are, and those to come, without a word: they open, and nothing follows. */
    silence(): void {
      isSilent = true
      cut('half-open')
    },
  }
  function cut(how: CutKind): void {
    for (const [near, far] of pairs) {
      if (how === 'closed') near.end()
      if (how === 'reset') near.resetAndDestroy()
      if (how === 'half-open') {
        near.unpipe(far)
        far.unpipe(near)
        near.pause()
      }
    }
  }
}
