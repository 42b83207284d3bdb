import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { outputOf } from './find-program.ts'
import { removeAtExit } from './reaper.ts'

interface Download {
  /** The names of the packages, as in `['redis-server']`. */
  packages: readonly string[]
  /** The folder into which they are unpacked. */
  cache: string
  /** Whether the programs in a folder run. */
  isUsable: (folder: string) => Promise<boolean>
}

/**
 * Downloads Debian packages, with the libraries that this machine lacks, and unpacks them into a folder. The folder
 * appears atomically; of several runs at once the first one wins. It needs no root, and installs nothing.
 * @returns whether the folder exists and its programs run.
 */
export async function downloadPackages({ packages, cache, isUsable }: Download): Promise<boolean> {
  await mkdir(dirname(cache), { recursive: true })
  const work = await mkdtemp(join(tmpdir(), 'popular-posts-apt-'))
  const unpacked = await mkdtemp(`${cache}.new-`)
  for (const directory of [work, unpacked]) removeAtExit(directory)
  try {
    // The package lists of the machine may be missing (a new image) or outdated: the second attempt loads new lists.
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

/** The options with which apt works without root, and without the cache of the machine. */
async function prepare(work: string, useOwnLists: boolean): Promise<string[]> {
  await mkdir(join(work, 'cache', 'archives', 'partial'), { recursive: true })
  const options = ['-qq', '-o', 'APT::Sandbox::User=', '-o', 'Debug::NoLocking=true', '-o', `Dir::Cache=${work}/cache`]
  if (!useOwnLists) return options
  await mkdir(join(work, 'lists', 'partial'), { recursive: true })
  options.push('-o', `Dir::State::Lists=${work}/lists`)
  await outputOf('apt-get', [...options, '-o', 'Acquire::Languages=none', 'update'])
  return options
}

/** Downloads the packages that an installation would add. (`--print-uris` would leave out cached packages.) */
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

/** The folder that keeps downloads between runs. */
export function cacheFolder(name: string): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fastify-popular-posts', name)
}

/** The variable with which a program in the folder finds its libraries. Some are one folder deeper. */
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
