import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { outputOf } from './find-program.ts'

/** A program to test with. */
export interface FoundProgram {
  program: string
  /** What to add to the environment: where its libraries are. */
  env: Readonly<Record<string, string>>
}

interface DebianProgram {
  /** The name of the program, and of the folder in the cache. */
  name: string
  /** Debian's package. Default: `name`. */
  debianPackage?: string
  /** Its folder in the package, such as `usr/bin`. */
  folder: string
  /** The arguments that print its version. */
  versionArgs: readonly string[]
}

/**
 * Finds a program of this machine, else downloads that of Debian into a cache folder, without installing it.
 * @throws StartupError when there is none.
 */
export async function findDebianProgram({
  name,
  debianPackage = name,
  folder,
  versionArgs,
}: DebianProgram): Promise<FoundProgram> {
  const runs = async (program: string, env: FoundProgram['env'] = {}) =>
    (await outputOf(program, versionArgs, { env: { ...process.env, ...env } })) !== undefined
  for (const program of [name, join('/', folder, name)]) if (await runs(program)) return { program, env: {} }
  const cache = cacheFolder(name)
  const isUsable = async (root: string) => runs(join(root, folder, name), await librariesIn(root))
  if (!(await isUsable(cache)) && !(await downloadPackages({ packages: [debianPackage], cache, isUsable })))
    throw new StartupError(`no ${name} to test with: install ${debianPackage}`)
  return { program: join(cache, folder, name), env: await librariesIn(cache) }
}
