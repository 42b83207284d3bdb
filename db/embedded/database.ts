import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf, messageOf, StartupError } from '../../lib/errors.ts'
import { type ClusterOptions, type EmbeddedCluster, openCluster } from './cluster.ts'
import { isProcessAlive, type Postmaster, readPostmaster, removeStale } from './postmaster-pid.ts'
import { makeRole, ROLE } from './role.ts'
import { startServer, stopServer } from './server.ts'
import { JoinError, type JoinOptions, joinServer, type ServerLease } from './server-lease.ts'

/** A PostgreSQL server of our own, shared by all processes that opened the same folder. */
export interface EmbeddedDatabase {
  /** For pg and everything else that takes one. Holds a password: not for logs. */
  connectionString: string
  /** The database was made by this call, and is empty. */
  created: boolean
  /** Leaves the server. The last process to leave stops it; close your connections first. Never rejects because of others. */
  close(): Promise<void>
}

export interface EmbeddedOptions extends ClusterOptions {
  /** How long to wait for a server that is starting or stopping. Default 60,000. */
  patienceMs?: number
}

/** A pid that lives beside a port that nobody of ours answers on: how long until it is taken for somebody else's pid. */
const STALE_AFTER_MS = 1_000
/** What a server answers to a role that it does not have, as to a wrong password. */
const NO_SUCH_ROLE = '28P01'
/** Another process was faster, or the processes of a killed server are not all gone yet. */
const TRANSIENT_ERROR = /lock file "postmaster\.pid" already exists|pre-existing shared memory block/

/**
 * Opens the embedded database in a folder: durable, on a free port of 127.0.0.1, behind a password.
 *
 * Whoever comes first starts the server, whoever comes later joins it, also the one that a killed process left behind.
 * PostgreSQL's own lock of its data folder decides between two that start at once.
 * @param options.directory made if it is not there; everything is in its folder `postgres`.
 * @throws StartupError: the folder cannot be used, the data is another version's, or the server does not start.
 */
export async function openEmbeddedDatabase(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const cluster = await openCluster(options)
  const { presence, port } = await joinOrStart(cluster, options.patienceMs ?? 60_000)
  let closing: Promise<void> | undefined
  return {
    connectionString: `postgres://${ROLE}:${cluster.password}@127.0.0.1:${port}/postgres`,
    created: cluster.created,
    close() {
      closing ??= close(cluster, presence)
      return closing
    },
  }
}

async function close(cluster: EmbeddedCluster, presence: ServerLease): Promise<void> {
  if (await presence.leave()) await stopServer(cluster.dataDirectory)
  await presence.release()
}

async function joinOrStart(
  cluster: EmbeddedCluster,
  patienceMs: number,
): Promise<{ presence: ServerLease; port: number }> {
  const deadlineMs = Date.now() + patienceMs
  let absentSinceMs = Number.POSITIVE_INFINITY
  for (;;) {
    const postmaster = readPostmaster(cluster.dataDirectory)
    let problem: unknown
    try {
      if (postmaster !== undefined && isProcessAlive(postmaster.pid)) {
        const { port } = postmaster
        return { presence: await joinAsRole({ ...cluster, port }), port }
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

/** Enters, and makes the role first where it is not there yet: in a new folder, and in one of an older version. */
async function joinAsRole(options: JoinOptions): Promise<ServerLease> {
  try {
    return await joinServer(options)
  } catch (error) {
    if (!(error instanceof JoinError) || codeOf(error.cause) !== NO_SUCH_ROLE) throw error
    // What keeps it from being made keeps us from entering, and that says so.
    await makeRole(options).catch(() => undefined)
    return joinServer(options)
  }
}

function noAnswer(cluster: EmbeddedCluster, postmaster: Postmaster | undefined, cause: unknown): StartupError {
  return new StartupError(
    `PostgreSQL (process ${postmaster?.pid}) holds ${cluster.dataDirectory} and does not answer (${messageOf(cause)}): wait, or end that process, and start again`,
    { cause },
  )
}
