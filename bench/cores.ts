import { execFileSync } from 'node:child_process'

/** Clients, and what they start, keep to one core; the server that is measured has the other. */
export const [CLIENT_CORE, SERVER_CORE] = [0, 1]

/**
 * Has this process, and what it starts from here on, run on one core only.
 * @returns whether it does: needs Linux' `taskset`, and two cores.
 */
export function keepToCore(core: number): boolean {
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(process.pid)], {
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
}
