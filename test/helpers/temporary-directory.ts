import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeAtExit } from './services/reaper.ts'

/** Creates a folder that every user may enter. It is removed when the test ends. */
export async function temporaryDirectory(t: { teardown(end: () => Promise<void>): unknown }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-test-'))
  removeAtExit(directory)
  await chmod(directory, 0o755)
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}
