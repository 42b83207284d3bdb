import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, messageOf, StartupError } from '../../lib/errors.ts'
import { type ClusterOptions, type EmbeddedCluster, openCluster } from './cluster.ts'
import { isProcessAlive, type Postmaster, readPostmaster, removeStale } from './postmaster-pid.ts'
import { makeRole, ROLE } from './role.ts'
import { startServer, stopServer } from './server.ts'
import { JoinError, type JoinOptions, joinServer, type ServerLease } from './server-lease.ts'

/** An embedded PostgreSQL server, shared by all processes that opened the same folder. */
export interface EmbeddedDatabase {
  /** For pg and other clients. Contains a password: never log it. */
  connectionString: string
  /** Whether this call made the database, which is then empty. */
  created: boolean
  /** Leaves the server; the last process that leaves stops it. Close all connections first. */
  close(): Promise<void>
}

/** Options of {@link openEmbeddedDatabase}. */
export interface EmbeddedOptions extends ClusterOptions {
  /** The timeout, in milliseconds, for a server that is starting or stopping. Default 60,000. */
  timeoutMs?: number
}

/**
 * How long a live pid may have no server of this folder on its port, until the pid counts as that of another program.
 */
const STALE_AFTER_MS = 1_000
/** The error of a server for a role that does not exist; also for a wrong password. */
const NO_SUCH_ROLE = '28P01'
/** Another process started the server first, or processes of a killed server still run. */
const TRANSIENT_ERROR = /lock file "postmaster\.pid" already exists|pre-existing shared memory block/

/**
 * Opens the embedded database in a folder: durable, on a free port of 127.0.0.1, behind a password.
 *
 * The first process starts the server, later processes join it, also a server that a killed process left running.
 * PostgreSQL's lock of its data folder decides between two processes that start it at once.
 * @param options.directory created if it does not exist; all files are in its folder `postgres`.
 * @throws StartupError if the folder cannot be used, the data is of another version, or the server does not start.
 */
export async function openEmbeddedDatabase(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const cluster = await openCluster(options)
  const { lease, port } = await joinOrStart(cluster, options.timeoutMs ?? 60_000)
  let closing: Promise<void> | undefined
  return {
    connectionString: `postgres://${ROLE}:${cluster.password}@127.0.0.1:${port}/postgres`,
    created: cluster.created,
    close() {
      closing ??= close(cluster, lease)
      return closing
    },
  }
}

async function close(cluster: EmbeddedCluster, lease: ServerLease): Promise<void> {
  if (await lease.leave()) await stopServer(cluster.dataDirectory)
  await lease.release()
}

async function joinOrStart(cluster: EmbeddedCluster, timeoutMs: number): Promise<{ lease: ServerLease; port: number }> {
  const deadlineMs = Date.now() + timeoutMs
  let absentSinceMs = Number.POSITIVE_INFINITY
  for (;;) {
    const postmaster = readPostmaster(cluster.dataDirectory)
    let problem: unknown
    try {
      if (postmaster !== undefined && isProcessAlive(postmaster.pid)) {
        const { port } = postmaster
        return { lease: await joinAsRole({ ...cluster, port }), port }
      }
      await startServer(cluster)
      continue
    } catch (error) {
      problem = error
    }
    const isAbsent = problem instanceof JoinError && problem.state === 'absent'
    const isWorthWaiting = problem instanceof JoinError || TRANSIENT_ERROR.test(messageOf(problem))
    if (!isWorthWaiting) throw problem
    if (!isAbsent) absentSinceMs = Number.POSITIVE_INFINITY
    absentSinceMs = Math.min(absentSinceMs, isAbsent ? Date.now() : absentSinceMs)
    if (postmaster !== undefined && Date.now() - absentSinceMs > STALE_AFTER_MS) {
      await removeStale(cluster.dataDirectory, postmaster)
    }
    if (Date.now() > deadlineMs) throw noAnswer(cluster, postmaster, problem)
    await sleep(50)
  }
}

/** Joins the server, and first creates the role in a new folder. */
async function joinAsRole(options: JoinOptions): Promise<ServerLease> {
  try {
    return await joinServer(options)
  } catch (error) {
    if (!(error instanceof JoinError) || codeOf(error.cause) !== NO_SUCH_ROLE) throw error
    // If creating the role fails, joining fails too, with the error to report.
    await makeRole(options).catch(() => undefined)
    return joinServer(options)
  }
}

function noAnswer(cluster: EmbeddedCluster, postmaster: Postmaster | undefined, cause: unknown): StartupError {
  return new StartupError(
    `PostgreSQL (process ${postmaster?.pid}) holds ${cluster.dataDirectory} and does not answer (${messageOf(cause)}): wait, or stop that process, and start again`,
    { cause },
  )
}
