import { execFile, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { messageOf, StartupError } from '../../lib/errors.ts'
import { commandAs, type PostgresAccount } from './account.ts'
import type { PostgresBinaries } from './binaries.ts'
import { isProcessAlive, readPostmaster } from './postmaster-pid.ts'

/** The programs of PostgreSQL, and the account that runs them. */
export interface PostgresProgram {
  binaries: PostgresBinaries
  account: PostgresAccount
}

interface InitOptions extends PostgresProgram {
  /** The data folder to make. The account owns its parent folder. */
  dataDirectory: string
  /** A file with the password of the user `postgres`. Default: connections need no password. */
  passwordFile?: string
  /** Whether to wait until all files are on the disk. Default true; tests do not wait. */
  isDurable?: boolean
}

/** Makes a data folder, UTF-8 and sorted by code point, so that it behaves the same on every machine. */
export async function initDataFolder(options: InitOptions): Promise<void> {
  const { binaries, account, dataDirectory, passwordFile, isDurable = true } = options
  const args = ['-D', dataDirectory, '-U', 'postgres', '-E', 'UTF8', '--locale=C']
  if (passwordFile === undefined) args.push('-A', 'trust')
  else args.push('-A', 'scram-sha-256', `--pwfile=${passwordFile}`)
  if (!isDurable) args.push('--no-sync')
  const command = commandAs(account, binaries.initdb, args)
  await promisify(execFile)(command.file, command.args, command.options).catch((cause: unknown) => {
    // Errors of execFile contain the output of the program.
    const output = String((cause as { stderr?: unknown }).stderr)
    throw new StartupError(`cannot make a database in ${dataDirectory}: ${reasonIn(output) || messageOf(cause)}`, {
      cause,
    })
  })
}

interface StartOptions extends PostgresProgram {
  dataDirectory: string
  /** The log of the server; appended to. */
  logFile: string
  /** Default: a free port. */
  port?: number
  /** Settings of postgresql.conf. */
  settings?: Readonly<Record<string, string | number>>
  /** The timeout of the start, including recovery after a crash. Default 120,000. */
  timeoutMs?: number
}

/**
 * Starts a server on 127.0.0.1 that outlives this process, and waits until it accepts connections.
 * @throws StartupError with the reason from the server's log; the server does not run then.
 */
export async function startServer(options: StartOptions): Promise<{ pid: number; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    try {
      return { pid: await launch(options, port), port }
    } catch (error) {
      // Another program took the port after `freePort` found it.
      if (options.port === undefined && attempt < 3 && /could not create any TCP/.test(messageOf(error))) continue
      throw error
    }
  }
}

async function launch(options: StartOptions, port: number): Promise<number> {
  const { binaries, account, dataDirectory, logFile, settings = {}, timeoutMs = 120_000 } = options
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', timezone: 'UTC', ...settings }
  const args = ['-D', dataDirectory, '-p', String(port)]
  for (const [name, value] of Object.entries(all)) args.push('-c', `${name}=${value}`)
  const command = commandAs(account, binaries.postgres, args)
  const log = await open(logFile, 'a', 0o600)
  const { size } = await log.stat()
  const child = spawn(command.file, command.args, { ...command.options, stdio: ['ignore', log.fd, log.fd] })
  let ending = ''
  child.once('error', (error) => (ending ||= error.message))
  child.once('exit', (code, signal) => (ending ||= `it ended with ${signal ?? code}`))
  child.unref()
  await log.close()

  const deadlineMs = Date.now() + timeoutMs
  for (;;) {
    const postmaster = readPostmaster(dataDirectory)
    if (postmaster !== undefined && postmaster.pid === child.pid && postmaster.isReady) return postmaster.pid
    if (ending === '' && Date.now() > deadlineMs) {
      child.kill('SIGKILL')
      ending = `not ready after ${timeoutMs} ms`
    }
    if (ending !== '') {
      const said = (await readFile(logFile)).subarray(size).toString()
      throw new StartupError(`PostgreSQL does not start in ${dataDirectory}: ${reasonIn(said) || ending}`)
    }
    await sleep(10)
  }
}

/**
 * Stops the server of a data folder: it disconnects its clients and writes all data to the disk. Does nothing if none
 * runs.
 * @param timeoutMs after this time the server is killed, and recovers from its log at the next start. Default 30,000.
 */
export async function stopServer(dataDirectory: string, { timeoutMs = 30_000 } = {}): Promise<void> {
  const postmaster = readPostmaster(dataDirectory)
  if (postmaster === undefined || !isProcessAlive(postmaster.pid)) return
  const isGone = () => !isProcessAlive(postmaster.pid)
  const hasStopped = () => isGone() || readPostmaster(dataDirectory)?.identity !== postmaster.identity
  process.kill(postmaster.pid, 'SIGINT')
  if (!(await until(hasStopped, timeoutMs))) process.kill(postmaster.pid, 'SIGKILL')
  // Not for ever: a container may have no process that reaps it, and then the pid stays.
  await until(isGone, 2_000)
}

/** A TCP port of 127.0.0.1 on which no program listens. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function until(isTrue: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs
  while (!isTrue()) {
    if (Date.now() > deadlineMs) return false
    await sleep(10)
  }
  return true
}

/** The reason in the output of PostgreSQL: the last error, else the last line. */
function reasonIn(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '')
  const error = lines.findLast((line) => /(error|FATAL|PANIC):/.test(line)) ?? lines.at(-1) ?? ''
  return error.replace(/^.*?(error|FATAL|PANIC): */, '').trim()
}
