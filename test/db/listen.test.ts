import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { listenForChanges } from '../../changes/listen.ts'
import { codeOf } from '../../lib/errors.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { until } from '../helpers/services/until.ts'

/** Listens; the test starts the attempts. */
function listen(t: Test, connectionString: string, patienceMs?: number) {
  const attempts: { delayMs: number; run: () => void }[] = []
  const lost: { code: string; isRefused: boolean }[] = []
  const notices: string[] = []
  let listening = 0
  const listener = listenForChanges({
    connectionString,
    ...(patienceMs === undefined ? {} : { timeoutMs: patienceMs }),
    schedule(delayMs, run) {
      const attempt = { delayMs, run }
      attempts.push(attempt)
      return () => attempts.splice(attempts.indexOf(attempt), 1)
    },
    onNotification: (payload) => notices.push(payload),
    onLost: (error, isRefused) => lost.push({ code: codeOf(error), isRefused }),
    notify: async () => {},
    onListening: () => {
      listening += 1
    },
  })
  t.teardown(() => listener.close())
  return {
    lost,
    notices,
    close: listener.close,
    isListening: () => until(() => listening > 0, 'it listens'),
    /** Waits for the end of an attempt. Resolves to the delay of the next one, and a function that starts it. */
    async nextAttempt() {
      await until(() => attempts.length > 0, 'the next attempt is scheduled')
      const [attempt] = attempts.splice(0)
      return { delayMs: attempt?.delayMs, begin: () => attempt?.run() }
    },
    scheduled: () => attempts.length,
  }
}

/** A server that replies to each received chunk with the next of some bytes, and then is silent. */
async function mute(t: Test, ...answers: Buffer[]) {
  const sockets: Socket[] = []
  // The client closes its half of the connection, and the server does not.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    const left = [...answers]
    socket.on('data', () => left.length > 0 && socket.write(left.shift() ?? ''))
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `postgres://ann@127.0.0.1:${(server.address() as AddressInfo).port}/blog`,
    isConnected: () => until(() => sockets.length > 0, 'it is connected'),
    /** The number of connections that the client has not closed. */
    connections: () => sockets.filter((socket) => !socket.readableEnded && !socket.destroyed).length,
  }
}

const READY = 'Z\0\0\0\x05I'
/** A sign-in that succeeds; the process id is 7. */
const AUTHENTICATED = Buffer.from(`R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x01${READY}`)
/** A row with the process id 7, of one column of type text. */
const PROCESS_ID = Buffer.from(
  `T\0\0\0\x1c\0\x01pid\0\0\0\0\0\0\0\0\0\0\x19\0\0\0\0\0\0\0\0D\0\0\0\x0b\0\x01\0\0\0\x017C\0\0\0\x0dSELECT 1\0${READY}`,
)
const LISTENING = Buffer.from(`C\0\0\0\x0bLISTEN\0${READY}`)

async function count(url: string): Promise<number> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where application_name = 'popular-posts listener'",
  )
  await client.end()
  return Number(rows[0]?.n)
}

t.test('a standby refuses LISTEN: no connection is left open, and the next attempt is a minute away', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  await server.restartAsStandby()
  const { lost, nextAttempt, isListening, close } = listen(t, server.url)
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    const { delayMs, begin } = await nextAttempt()
    t.equal(delayMs, 60_000)
    await until(async () => (await count(server.url)) === 0, 'the connection is closed')
    t.same(lost.at(-1), { code: '25006', isRefused: true })
    t.equal(lost.length, attempt)
    if (attempt === 4) {
      const client = new Client({ connectionString: server.url })
      await client.connect()
      await client.query('select pg_promote()')
      await client.end()
    }
    begin()
  }
  await isListening()
  t.equal(await count(server.url), 1, 'the standby was promoted')
  await close()
  await until(async () => (await count(server.url)) === 0, 'it is closed')
})

t.test('a user without the right to connect is a refusal; a server that is down is not', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const refused = listen(t, server.url.replace('//postgres@', '//nobody-of-that-name@'))
  t.equal((await refused.nextAttempt()).delayMs, 60_000)
  t.same(refused.lost, [{ code: '28000', isRefused: true }])

  const away = listen(t, server.url)
  await away.isListening()
  await server.stop()
  const delays: unknown[] = []
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const { delayMs, begin } = await away.nextAttempt()
    delays.push(delayMs)
    begin()
  }
  t.same(delays, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  t.match(away.lost[0], { code: '57P01', isRefused: false })
  t.match(away.lost[1], { code: 'ECONNREFUSED', isRefused: false })
})

t.test('a silent server times out, its connection is closed, and the attempt is retried', async (t) => {
  for (const [when, answers] of [
    ['at the start', []],
    ['at the process id', [AUTHENTICATED]],
    ['at LISTEN', [AUTHENTICATED, PROCESS_ID]],
  ] as const) {
    const server = await mute(t, ...answers)
    const { lost, nextAttempt } = listen(t, server.url, 100)
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const { begin } = await nextAttempt()
      await until(() => server.connections() === 0, `${when}: the connection is closed`)
      t.same(lost.at(-1), { code: '', isRefused: false }, when)
      t.equal(lost.length, attempt)
      begin()
    }
  }
})

t.test('closing ends the connection in every state, and no attempt follows', async (t) => {
  for (const [when, answers] of [
    ['before the first answer', []],
    ['before the answer to LISTEN', [AUTHENTICATED, PROCESS_ID]],
    ['listening', [AUTHENTICATED, PROCESS_ID, LISTENING]],
  ] as const) {
    const server = await mute(t, ...answers)
    const listener = listen(t, server.url)
    if (when === 'listening') await listener.isListening()
    else await server.isConnected()
    await listener.close()
    await until(() => server.connections() === 0, `${when}: the connection is closed`)
    t.same([listener.lost, listener.scheduled()], [[], 0], when)
  }
  const nowhere = listen(t, 'postgres://127.0.0.1:9/blog')
  await nowhere.close()
  t.same([nowhere.lost, nowhere.scheduled()], [[], 0], 'while connecting')
  const refused = listen(t, 'postgres://127.0.0.1:9/blog')
  await until(() => refused.scheduled() > 0, 'it waits for the next attempt')
  await refused.close()
  t.equal(refused.scheduled(), 0)

  const silent = await mute(t)
  const attempts: unknown[] = []
  const closed = new Promise<void>((resolve) => {
    const listener = listenForChanges({
      connectionString: silent.url,
      timeoutMs: 50,
      schedule: (delayMs) => () => attempts.push(delayMs),
      onNotification: () => undefined,
      onListening: () => undefined,
      notify: async () => {},
      onLost: () => setImmediate(() => resolve(listener.close())),
    })
  })
  await closed
  await until(() => silent.connections() === 0, 'the connection is closed')
  t.same(attempts, [], 'while it hangs up')
})

t.test('closing a connection to a frozen server does not hang', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const listener = listen(t, server.url)
  await listener.isListening()
  await server.kill('SIGSTOP')
  await listener.close()
  await server.kill('SIGCONT')
  t.same(listener.lost, [])
})
