import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { isProcessAlive } from '../../../db/embedded/postmaster-pid.ts'
import { LOADER } from '../program.ts'
import { until } from './until.ts'

const fixture = fileURLToPath(new URL('../../fixtures/use-servers.ts', import.meta.url))

t.test('servers and their folders are removed after every kind of end of the process that started them', async (t) => {
  await Promise.all(
    (['SIGKILL', 'SIGTERM', 'SIGINT', 'exit', 'throw'] as const).map(async (ending) => {
      const child = spawn(process.execPath, [LOADER, fixture, ending], { stdio: ['ignore', 'pipe', 'ignore'] })
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
      const { pids, stranger, directory } = JSON.parse(line) as { pids: number[]; stranger: number; directory: string }
      t.equal(pids.every(isProcessAlive), true, `${ending}: they run`)
      if (ending.startsWith('SIG')) child.kill(ending as NodeJS.Signals)
      else child.kill('SIGUSR2')
      await once(child, 'close')
      await until(() => !pids.some(isProcessAlive) && !existsSync(directory), `${ending}: they are gone`)
      t.equal(isProcessAlive(stranger), true, `${ending}: a process that a stale file names is left alone`)
      process.kill(-stranger, 'SIGKILL')
    }),
  )
})

t.test('the error of a timeout names the condition', async (t) => {
  await t.rejects(
    until(() => false, 'the moon falls', 20),
    { message: 'timeout after 20 ms: expected that the moon falls' },
  )
})
