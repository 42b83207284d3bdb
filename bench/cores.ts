import { execFileSync } from 'node:child_process'

/** One core for the clients and their child processes, the other for the server that is measured. */
export const [CLIENT_CORE, SERVER_CORE] = [0, 1]

/**
 * Binds this process, and the processes that it starts later, to one core.
 * @returns whether that worked; it needs `taskset` of Linux, and two cores.
 */
export function bindToCore(core: number): boolean {
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(process.pid)], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
}
