import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, downloadPackages } from './download-packages.ts'

/**
 * Finds Debian's libfaketime, else downloads it into a cache folder. libfaketime calls `malloc` before it is ready, and the
 * allocator of Redis, jemalloc, asks for the time then: so another allocator is loaded before it.
 * @returns the value of `LD_PRELOAD`; `undefined` where the packages cannot be downloaded.
 */
export async function findFaketime(): Promise<string | undefined> {
  const cache = cacheFolder('faketime')
  const isUsable = async (folder: string) => (await libraries(folder)) !== undefined
  const packages = ['libfaketime', 'libmimalloc2.0']
  const isThere = (await isUsable(cache)) || (await downloadPackages({ packages, cache, isUsable }).catch(() => false))
  return isThere ? await libraries(cache) : undefined
}

async function libraries(folder: string): Promise<string | undefined> {
  const root = join(folder, 'usr', 'lib')
  for (const name of await readdir(root).catch(() => [])) {
    const paths = [join(root, name, 'libmimalloc.so.2.0'), join(root, name, 'faketime', 'libfaketime.so.1')]
    const found = await Promise.all(
      paths.map((path) =>
        access(path).then(
          () => true,
          () => false,
        ),
      ),
    )
    if (found.every(Boolean)) return paths.join(' ')
  }
  return undefined
}
