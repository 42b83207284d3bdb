import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeWithUs } from './services/reaper.ts'

/** A folder of the test's own that every user may enter; removed when the test ends. */
export async function temporaryDirectory(t: { teardown(end: () => Promise<void>): unknown }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-test-'))
  removeWithUs(directory)
  await chmod(directory, 0o755)
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}
