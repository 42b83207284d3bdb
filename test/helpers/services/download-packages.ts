import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { outputOf } from './find-program.ts'
import { removeWithUs } from './reaper.ts'

interface Download {
  /** What it is for, as in `['redis-server']`. */
  packages: readonly string[]
  /** Where it is unpacked. */
  cache: string
  /** Tells whether what is in a folder runs. */
  isUsable: (folder: string) => Promise<boolean>
}

/**
 * Downloads packages of Debian's, with the libraries that this machine lacks, and unpacks them into a folder, which
 * appears whole or not at all: of several runs at once the first wins. No root, and nothing is installed.
 * @returns whether the folder is there, and runs.
 */
export async function downloadPackages({ packages, cache, isUsable }: Download): Promise<boolean> {
  await mkdir(dirname(cache), { recursive: true })
  const work = await mkdtemp(join(tmpdir(), 'popular-posts-apt-'))
  const unpacked = await mkdtemp(`${cache}.new-`)
  for (const directory of [work, unpacked]) removeWithUs(directory)
  try {
    // The lists of the machine may be missing (a fresh image) or name versions that are gone: then lists of our own.
    for (const useOwnLists of [false, true]) {
      const options = await prepare(work, useOwnLists)
      await downloadInto(work, packages, options)
      const files = (await readdir(work)).filter((name) => name.endsWith('.deb'))
      for (const name of files) await outputOf('dpkg-deb', ['-x', join(work, name), unpacked])
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
async function downloadInto(work: string, packages: readonly string[], options: readonly string[]): Promise<void> {
  const plan = await outputOf('apt-get', [...options, '--simulate', 'install', '--no-install-recommends', ...packages])
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

/** Where what was downloaded is kept from one run to the next. */
export function cacheFolder(name: string): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fastify-popular-posts', name)
}

/** What to add to the environment of a program in there, for it to find its libraries: some lie one folder deeper. */
export async function librariesIn(cache: string): Promise<{ LD_LIBRARY_PATH: string }> {
  const roots = [join(cache, 'usr', 'lib'), join(cache, 'lib')]
  const folders = (await Promise.all(roots.map(foldersIn))).flat()
  const deeper = (await Promise.all(folders.map(foldersIn))).flat()
  return { LD_LIBRARY_PATH: [...folders, ...deeper].join(':') }
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name))
}
