import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import type { Teardown } from '../program.ts'
import { endAtExit, forgetPid } from './reaper.ts'

interface Program {
  program: string
  args: readonly string[]
  /** Variables for the environment, such as the folders of its libraries. */
  env: Readonly<Record<string, string>>
  /** Its folder, which is removed with it. */
  directory: string
}

/** Starts a server that ends with the test. */
export async function startInFolder(t: Teardown, { program, args, env, directory }: Program): Promise<ChildProcess> {
  const child = spawn(program, args, {
    detached: true, // Ctrl-C must not end it, because the tests still use it while they end.
    env: { ...process.env, ...env },
    stdio: 'ignore',
  })
  const exit = once(child, 'exit')
  await once(child, 'spawn')
  const pid = child.pid ?? 0
  endAtExit(pid)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
    forgetPid(pid)
    await rm(directory, { recursive: true, force: true })
  })
  return child
}
