import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { outputOf } from './find-program.ts'

interface FoundPgBouncer {
  program: string
  /** What to add to the environment: where its libraries are. */
  env: Readonly<Record<string, string>>
}

/** The PgBouncer to test with: of this machine, else Debian's own, unpacked into a cache folder. */
export async function findPgBouncer(
  programs: readonly string[] = ['pgbouncer', '/usr/sbin/pgbouncer'],
  cache = cacheFolder('pgbouncer'),
  download = downloadPackages,
): Promise<FoundPgBouncer> {
  for (const program of programs) if (await runs(program, {})) return { program, env: {} }
  const program = join(cache, 'usr', 'sbin', 'pgbouncer')
  const isUsable = async (folder: string) => runs(join(folder, 'usr', 'sbin', 'pgbouncer'), await librariesIn(folder))
  if (!(await isUsable(cache)) && !(await download({ packages: ['pgbouncer'], cache, isUsable })))
    throw new StartupError('no PgBouncer to test with: install pgbouncer')
  return { program, env: await librariesIn(cache) }
}

async function runs(program: string, env: FoundPgBouncer['env']): Promise<boolean> {
  return (await outputOf(program, ['--version'], { env: { ...process.env, ...env } })) !== undefined
}
