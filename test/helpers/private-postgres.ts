import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chownTo, detectAccount, executableBinaries } from '../../db/embedded/account.ts'
import { isProcessAlive } from '../../db/embedded/postmaster-pid.ts'
import { freePort, initDataFolder, startServer as launch, stopServer } from '../../db/embedded/server.ts'
import { findPostgres } from './services/find-postgres.ts'
import { endAtExit, forgetPid, removeAtExit } from './services/reaper.ts'
import { until } from './services/until.ts'

interface PrivatePostgresOptions {
  port?: number
  /** Settings of postgresql.conf, over those of every test server. */
  settings?: Readonly<Record<string, string | number>>
}

export type PrivatePostgres = Awaited<ReturnType<typeof startPostgres>>

const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', jit: 'off' }

/** Starts a PostgreSQL server that the caller may stop, freeze, kill and restart. It ends with this process. */
export async function startPostgres({ port: wanted, settings = {} }: PrivatePostgresOptions = {}) {
  const { binaries: found, from } = await findPostgres()
  const account = await detectAccount()
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-pg-'))
  removeAtExit(directory)
  await chmod(directory, 0o755)
  const binaries = await executableBinaries(account, found, directory)
  await chownTo(account, directory)
  const dataDirectory = join(directory, 'data')
  await initDataFolder({ binaries, account, dataDirectory, isDurable: false })
  const port = wanted ?? (await freePort())
  let pid = 0

  const start = async () => {
    const logFile = join(directory, 'postgres.log')
    const all = { ...SETTINGS, ...settings }
    const server = await launch({ binaries, account, dataDirectory, logFile, port, settings: all })
    pid = server.pid
    endAtExit(pid)
  }
  const end = async () => {
    for (const process of await familyOf(pid)) signal(process, 'SIGCONT')
    await stopServer(dataDirectory)
    forgetPid(pid)
  }
  await start()

  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    /** The version and the origin of the server, for the output. */
    description: `PostgreSQL ${binaries.version} (${from})`,
    /** Stops the server and keeps its data. */
    stop: end,
    /** Restarts the server with its data on the same port, also after a crash or a freeze. */
    async restart() {
      await end()
      await start()
    },
    /** Restarts the server as a read-only hot standby, until `select pg_promote()`. */
    async restartAsStandby() {
      await end()
      await writeFile(join(dataDirectory, 'standby.signal'), '')
      await start()
    },
    /** Sends a signal to all processes of the server: SIGSTOP freezes it, SIGCONT continues it, SIGKILL crashes it. */
    async kill(name: NodeJS.Signals = 'SIGKILL') {
      const family = await familyOf(pid)
      for (const process of family) signal(process, name)
      if (name === 'SIGSTOP') for (const process of family) endAtExit(process)
      if (name === 'SIGKILL') await until(() => !family.some(isProcessAlive), 'the processes of PostgreSQL are gone')
    },
    /** Stops the server and removes its data. */
    async remove() {
      await end()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/**
 * The processes of a server; each is its own process group. The postmaster is first, because a frozen postmaster starts
 * no more processes.
 */
async function familyOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => childrenByPs(pid))
  return [pid, ...children.split(/\s+/).filter(Boolean).map(Number)].filter(isProcessAlive)
}

async function childrenByPs(pid: number): Promise<string> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'ppid=,pid=']).catch(() => ({ stdout: '' }))
  return [...stdout.matchAll(/^ *(\d+) +(\d+)/gm)]
    .filter((match) => match[1] === String(pid))
    .map((match) => match[2])
    .join(' ')
}

function signal(pid: number, name: NodeJS.Signals): void {
  if (isProcessAlive(pid)) process.kill(pid, name)
}
