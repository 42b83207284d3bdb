import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../db/embedded/server.ts'
import type { Teardown } from './program.ts'
import { findPgBouncer } from './services/find-pgbouncer.ts'
import { removeAtExit } from './services/reaper.ts'
import { startInFolder } from './services/start-in-folder.ts'
import { until } from './services/until.ts'

interface PgBouncerOptions {
  mode: 'session' | 'transaction' | 'statement'
  /** Further settings of pgbouncer.ini. */
  settings?: Readonly<Record<string, string | number>>
}

/** A PgBouncer in front of the server of a URL; it ends with the test. Every database of the server is behind it. */
export async function startPgBouncer(t: Teardown, url: string, { mode, settings = {} }: PgBouncerOptions) {
  const { program, env } = await findPgBouncer()
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-pgbouncer-'))
  removeAtExit(directory)
  await chmod(directory, 0o777)
  const port = await freePort()
  const server = new URL(url)
  const file = (name: string) => join(directory, name)
  await writeFile(file('users.txt'), `"${server.username}" "${server.password}"\n`)
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: file('users.txt'),
    logfile: file('pgbouncer.log'),
    pool_mode: mode,
    max_client_conn: 200,
    // It does not run as root.
    ...(process.getuid?.() === 0 ? { user: 'nobody' } : {}),
    ...settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
  await writeFile(
    file('pgbouncer.ini'),
    `[databases]\n* = host=${server.hostname} port=${server.port}\n[pgbouncer]\n${lines.join('\n')}\n`,
  )
  const child = await startInFolder(t, { program, args: ['-q', file('pgbouncer.ini')], env, directory })
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${await readFile(file('pgbouncer.log'), 'utf8')}`)
    return accepts(port)
  }, 'PgBouncer accepts connections')
  server.port = String(port)
  return {
    url: server.href,
    port,
    /** What it has logged. */
    log: () => readFile(file('pgbouncer.log'), 'utf8'),
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.end())
  })
}
