import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { folderWith, outputOf } from './find-program.ts'

interface FoundRedis {
  program: string
  /** Variables for the environment of the program: the folders of its libraries. */
  env: Readonly<Record<string, string>>
  version: string
  /** The origin of the program, for the output. */
  from: string
}

interface FindRedisOptions {
  path?: string
  /** The folder of a downloaded program. */
  cache?: string
  /** Fills the cache folder. Resolves to whether that worked. */
  download?: typeof downloadPackages
}

const NAMES = ['valkey-server', 'redis-server']

/** Finds the Redis of this machine, else downloads that of Debian into a cache folder, without installing it. */
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
