import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { runIn } from '../checkout.ts'

/** What AWS' own nodejs runtimes are made of. Not a dependency: its install script compiles curl. */
const CLIENT = {
  name: 'aws-lambda-ric@4.0.2',
  integrity: 'FE5Vskx7mYNnqAnWWJXUOsLp2VGgdsJsCoRLFTa8L4Yk0QVtArqR8q58yPA++QC1a73ZWJXBQ2AH31nIAv7NOQ==',
}

/**
 * The runtime's client, an ES module to be run: unpacked into a folder of the user's cache, the first time from npm.
 */
export async function findRuntimeClient(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fastify-popular-posts', CLIENT.name)
  const program = join(cache, 'package', 'index.mjs')
  if (await isThere(program)) return program
  await mkdir(dirname(cache), { recursive: true })
  const work = await mkdtemp(`${cache}.new-`)
  try {
    await runIn(work, 'npm', 'pack', CLIENT.name, '--ignore-scripts', '--prefer-offline', '--silent')
    const tarball = join(work, (await readdir(work))[0] ?? '')
    const integrity = createHash('sha512')
      .update(await readFile(tarball))
      .digest('base64')
    if (integrity !== CLIENT.integrity) throw new Error(`${CLIENT.name} is not what it was: ${integrity}`)
    await runIn(work, 'tar', '-xzf', tarball)
    // Of several runs at once the first wins.
    await rename(work, cache).catch(async (error: unknown) => {
      if (!(await isThere(program))) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return program
}

function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}
