import { readFileSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../../lib/errors.ts'

/** What a running server says about itself in the file `postmaster.pid` of its data folder. */
export interface Postmaster {
  pid: number
  port: number
  /** It takes connections; else it is still starting, or already stopping. */
  isReady: boolean
  /** Tells one start of the server from the next. */
  identity: string
}

/**
 * Reads `postmaster.pid`: lines 1, 4 and 8 are pid, port and state, as `pg_ctl` reads them too
 * (PostgreSQL's source, `src/include/utils/pidfile.h`). Nothing when there is no file or it is only half written.
 */
export function readPostmaster(dataDirectory: string): Postmaster | undefined {
  const lines = readIfThere(join(dataDirectory, 'postmaster.pid')).split('\n')
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!(pid > 0 && port > 0)) return undefined
  return { pid, port, isReady: lines[7]?.trim() === 'ready', identity: lines.slice(0, 4).join() }
}

/** Whether a process with this id exists, whoever's it is: after a reboot it may be anybody's. */
export function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/**
 * Takes away the file of a server that is gone, unless it is another's by now.
 *
 * PostgreSQL does so itself when the pid is free, and refuses to start when some other process has got it. Should we be
 * wrong and the server alive, the new one does not start beside it: the shared memory of a data folder is locked too.
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
