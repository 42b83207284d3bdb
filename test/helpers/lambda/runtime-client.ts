import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { runIn } from '../checkout.ts'

/** The client in the nodejs runtimes of AWS. It is not a dependency, because its install script compiles curl. */
const CLIENT = {
  name: 'aws-lambda-ric@4.0.2',
  integrity: 'FE5Vskx7mYNnqAnWWJXUOsLp2VGgdsJsCoRLFTa8L4Yk0QVtArqR8q58yPA++QC1a73ZWJXBQ2AH31nIAv7NOQ==',
}

/** Finds the ES module of the client in the user's cache folder. The first call downloads it from npm. */
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
    if (integrity !== CLIENT.integrity)
      throw new Error(`Expected ${CLIENT.name} with the SHA-512 ${CLIENT.integrity}, got ${integrity}.`)
    await runIn(work, 'tar', '-xzf', tarball)
    // When several runs download at once, the first one wins.
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
