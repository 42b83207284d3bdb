import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { outputOf } from './find-program.ts'
import { removeWithUs } from './reaper.ts'

/**
 * Downloads Debian's redis-server, with the libraries that this machine lacks, and unpacks it into a folder, which
 * appears whole or not at all: of several runs at once the first wins.
 * @param isUsable tells whether what is in a folder runs.
 * @returns whether the folder is there, and runs.
 */
export async function downloadRedis(cache: string, isUsable: (folder: string) => Promise<boolean>): Promise<boolean> {
  await mkdir(dirname(cache), { recursive: true })
  const work = await mkdtemp(join(tmpdir(), 'popular-posts-apt-'))
  const unpacked = await mkdtemp(`${cache}.new-`)
  for (const directory of [work, unpacked]) removeWithUs(directory)
  try {
    // The lists of the machine may be missing (a fresh image) or name versions that are gone: then lists of our own.
    for (const useOwnLists of [false, true]) {
      const options = await prepare(work, useOwnLists)
      await downloadInto(work, options)
      const packages = (await readdir(work)).filter((name) => name.endsWith('.deb'))
      for (const name of packages) await outputOf('dpkg-deb', ['-x', join(work, name), unpacked])
      if (await isUsable(unpacked)) return await putInPlace(unpacked, cache, isUsable)
    }
    return false
  } finally {
    await rm(work, { recursive: true, force: true })
    await rm(unpacked, { recursive: true, force: true })
  }
}

/** What makes apt work without root, and without what is in the machine's own cache. */
async function prepare(work: string, useOwnLists: boolean): Promise<string[]> {
  await mkdir(join(work, 'cache', 'archives', 'partial'), { recursive: true })
  const options = ['-qq', '-o', 'APT::Sandbox::User=', '-o', 'Debug::NoLocking=true', '-o', `Dir::Cache=${work}/cache`]
  if (!useOwnLists) return options
  await mkdir(join(work, 'lists', 'partial'), { recursive: true })
  options.push('-o', `Dir::State::Lists=${work}/lists`)
  await outputOf('apt-get', [...options, '-o', 'Acquire::Languages=none', 'update'])
  return options
}

/** Downloads the packages that an installation would add. (`--print-uris` leaves out those that lie in a cache.) */
async function downloadInto(work: string, options: readonly string[]): Promise<void> {
  const plan = await outputOf('apt-get', [
    ...options,
    '--simulate',
    'install',
    '--no-install-recommends',
    'redis-server',
  ])
  const names = [...(plan ?? '').matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '')
  if (names.length > 0) await outputOf('apt-get', [...options, 'download', ...names], { cwd: work })
}

async function putInPlace(unpacked: string, cache: string, isUsable: (folder: string) => Promise<boolean>) {
  return rename(unpacked, cache).then(
    () => true,
    async () => {
      if (await isUsable(cache)) return true // Another run was faster.
      await rm(cache, { recursive: true, force: true })
      await rename(unpacked, cache)
      return true
    },
  )
}
