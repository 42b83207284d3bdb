import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFaketime } from './services/find-faketime.ts'
import { removeAtExit } from './services/reaper.ts'

export interface ShiftedClock {
  /** The variables for the environment of a server that has this clock. */
  env: Readonly<Record<string, string>>
  /** Sets the clock to this many seconds after the clock of the machine. Negative: before it. The server need not restart. */
  set(seconds: number): Promise<void>
}

/**
 * Creates a clock for a server. The date changes; durations, as for timers, do not.
 * @returns `undefined` where libfaketime cannot be downloaded.
 */
export async function createShiftedClock(): Promise<ShiftedClock | undefined> {
  const preload = await findFaketime()
  if (preload === undefined) return undefined
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-clock-'))
  removeAtExit(directory)
  const file = join(directory, 'offset')
  const set = (seconds: number) => writeFile(file, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  await set(0)
  return {
    env: {
      LD_PRELOAD: preload,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
  }
}
