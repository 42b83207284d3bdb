import { readFileSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../../lib/errors.ts'

/** What a running server says about itself in the file `postmaster.pid` of its data folder. */
export interface Postmaster {
  /** The process id of the server. */
  pid: number
  /** The port of the server. */
  port: number
  /** Whether it accepts connections; else it is starting or stopping. */
  isReady: boolean
  /** Identifies one start of the server. */
  identity: string
}

/**
 * Reads `postmaster.pid`: lines 1, 4 and 8 are pid, port and state, as `pg_ctl` reads them too
 * (PostgreSQL's source, `src/include/utils/pidfile.h`). `undefined`: there is no file, or it is incomplete.
 */
export function readPostmaster(dataDirectory: string): Postmaster | undefined {
  const lines = readIfThere(join(dataDirectory, 'postmaster.pid')).split('\n')
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!(pid > 0 && port > 0)) return undefined
  return { pid, port, isReady: lines[7]?.trim() === 'ready', identity: lines.slice(0, 4).join() }
}

/** Whether a process with this id exists; after a reboot it may be a process of any program. */
export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/**
 * Removes the file of a server that has ended, unless another server has written it since.
 *
 * PostgreSQL removes the file itself if no process has the pid, and refuses to start if another program has it. If the
 * server is alive after all, the new one does not start beside it: the shared memory of a data folder is locked too.
 */
export async function removeStale(dataDirectory: string, stale: Postmaster): Promise<void> {
  if (readPostmaster(dataDirectory)?.identity === stale.identity) await unlink(join(dataDirectory, 'postmaster.pid'))
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  }
}
