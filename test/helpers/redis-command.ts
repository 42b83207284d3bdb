import { connect } from 'node:net'

/**
 * Sends one command to a Redis on 127.0.0.1 over a new connection, without a client library.
 * @returns the reply as text: a simple string, a number, or a bulk string; empty for nil.
 */
export function redisCommand(port: number, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let reply = ''
    socket.setEncoding('utf8').setTimeout(5_000, () => socket.destroy(new Error('no reply in 5,000 ms')))
    socket.once('error', reject).once('close', () => reject(new Error('the connection closed before the reply')))
    socket.on('data', (chunk) => {
      reply += chunk
      const head = reply.slice(0, reply.indexOf('\r\n'))
      const body = reply.slice(head.length + 2)
      const isBulk = head.startsWith('$') && head !== '$-1'
      if (!reply.includes('\r\n') || (isBulk && Buffer.byteLength(body) < Number(head.slice(1)) + 2)) return
      if (head.startsWith('-')) reject(new Error(head.slice(1)))
      resolve(isBulk ? body.slice(0, -2) : head === '$-1' ? '' : head.slice(1))
      socket.destroy()
    })
    socket.write(`*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`)
  })
}
