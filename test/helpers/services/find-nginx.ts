import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { outputOf } from './find-program.ts'

interface FoundNginx {
  program: string
  /** What to add to the environment: where its libraries are. */
  env: Readonly<Record<string, string>>
}

/** The nginx to test with: of this machine, else Debian's own, unpacked into a cache folder. */
export async function findNginx(): Promise<FoundNginx> {
  for (const program of ['nginx', '/usr/sbin/nginx']) if (await runs(program, {})) return { program, env: {} }
  const cache = cacheFolder('nginx')
  const program = join(cache, 'usr', 'sbin', 'nginx')
  const isUsable = async (folder: string) => runs(join(folder, 'usr', 'sbin', 'nginx'), await librariesIn(folder))
  if (!(await isUsable(cache)) && !(await downloadPackages({ packages: ['nginx'], cache, isUsable })))
    throw new StartupError('no nginx to test with: install nginx')
  return { program, env: await librariesIn(cache) }
}

async function runs(program: string, env: FoundNginx['env']): Promise<boolean> {
  return (await outputOf(program, ['-v'], { env: { ...process.env, ...env } })) !== undefined
}
