import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { folderWith, outputOf } from './find-program.ts'

interface FoundRedis {
  program: string
  /** What to add to the environment: where its libraries are. */
  env: Readonly<Record<string, string>>
  version: string
  /** For people: where it is from. */
  from: string
}

interface FindRedisOptions {
  path?: string
  /** Where a downloaded one is kept. */
  cache?: string
  /** Fills the cache folder; tells whether it could. */
  download?: typeof downloadPackages
}

const NAMES = ['valkey-server', 'redis-server']

/**
 * The Redis to test with: of this machine, else Debian's own, unpacked into a cache folder: no root, nothing installed.
 */
export async function findRedis(options: FindRedisOptions = {}): Promise<FoundRedis> {
  const { path = process.env['PATH'] ?? '', cache = cacheFolder('redis'), download = downloadPackages } = options
  for (const name of NAMES) {
    const folder = await folderWith([name], path)
    const found = folder === undefined ? undefined : await describe(join(folder, name), {}, folder)
    if (found !== undefined) return found
  }
  const found =
    (await inCache(cache)) ??
    ((await download({ packages: ['redis-server'], cache, isUsable })) ? await inCache(cache) : undefined)
  if (found !== undefined) return found
  throw new StartupError('no Redis to test with: install redis-server or valkey-server, or set REDIS_URL')
}

async function isUsable(cache: string): Promise<boolean> {
  return (await inCache(cache)) !== undefined
}

async function inCache(cache: string): Promise<FoundRedis | undefined> {
  const program = join(cache, 'usr', 'bin', 'redis-server')
  return describe(program, await librariesIn(cache), `Debian's packages in ${cache}`)
}

async function describe(program: string, env: FoundRedis['env'], from: string): Promise<FoundRedis | undefined> {
  const output = await outputOf(program, ['--version'], { env: { ...process.env, ...env } })
  const version = /v=(\S+)/.exec(output ?? '')?.[1]
  return version === undefined ? undefined : { program, env, version, from }
}
