import { execFile } from 'node:child_process'
import { chmod, cp, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, StartupError } from '../../lib/errors.ts'
import type { PostgresBinaries } from './binaries.ts'

const run = promisify(execFile)

/**
 * The account that runs PostgreSQL, which refuses to run as root: `self`, the user of this process; `namespace`, root
 * mapped to another uid in a user namespace (root keeps owning the files); `nobody`, uid 65534, where namespaces are
 * not allowed.
 */
export type PostgresAccount = 'self' | 'namespace' | 'nobody'

const NOBODY = 65534
const AS_NOBODY = [`--map-user=${NOBODY}`, `--map-group=${NOBODY}`]
/** The environment variables that a server inherits: `PG…` and `LC_…` variables would change its behaviour. */
const INHERITED = ['PATH', 'SYSTEMROOT', 'TEMP', 'TMP', 'TMPDIR']

/**
 * The account that works on this machine. Runs `unshare`, because no setting says reliably whether namespaces are
 * allowed.
 */
export async function detectAccount(uid = process.getuid?.(), unshare = 'unshare'): Promise<PostgresAccount> {
  if (uid !== 0) return 'self'
  return (await succeeds(unshare, [...AS_NOBODY, 'true'])) ? 'namespace' : 'nobody'
}

/** The arguments of `spawn` or `execFile` that run a program of PostgreSQL under an account. */
export function commandAs(account: PostgresAccount, program: string, args: readonly string[]) {
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC' }
  for (const name of INHERITED) if (process.env[name] !== undefined) env[name] = process.env[name]
  // `cwd`: every account may enter the root folder. `detached`: a process group of its own, so that Ctrl-C in the
  // terminal reaches this process only, and the application closes before its database.
  const options = { cwd: parse(program).root, detached: true, env }
  if (account === 'namespace') return { file: 'unshare', args: [...AS_NOBODY, program, ...args], options }
  if (account === 'nobody') return { file: program, args: [...args], options: { ...options, uid: NOBODY, gid: NOBODY } }
  return { file: program, args: [...args], options }
}

/**
 * Makes the account the owner of a folder and its content.
 * Root may have used the other account before: the namespace cannot read files of uid 65534, nor the reverse.
 */
export async function chownTo(account: PostgresAccount, directory: string): Promise<void> {
  if (account === 'self') return
  const owner = account === 'nobody' ? NOBODY : 0
  if ((await stat(directory)).uid === owner) return
  await run('chown', ['-R', `${owner}:${owner}`, directory])
}

/**
 * Checks that the account can enter a folder.
 * @throws StartupError that says what to do if a folder above it denies access.
 */
export async function checkAccess(account: PostgresAccount, directory: string, canRun = succeedsAs): Promise<void> {
  if (account === 'self') return
  if (await canRun(account, '/bin/sh', ['-c', 'cd "$0"', directory])) return
  throw new StartupError(
    `PostgreSQL does not run as root, and other users may not enter ${directory}: start as the user who owns it, set DATA_DIR to a folder that every user may enter, or set DATABASE_URL to a PostgreSQL server`,
  )
}

/**
 * The binaries at a path where the account can execute them: the given ones, else a copy in `directory`, made once per
 * version.
 * @param directory a folder that the account can enter.
 */
export async function executableBinaries(
  account: PostgresAccount,
  binaries: PostgresBinaries,
  directory: string,
  canRun = succeedsAs,
): Promise<PostgresBinaries> {
  if (account === 'self' || (await canRun(account, binaries.postgres, ['--version']))) return binaries
  const copy = join(directory, `postgresql-${binaries.version}`)
  const copied = { ...binaries, postgres: join(copy, 'bin', 'postgres'), initdb: join(copy, 'bin', 'initdb') }
  if (await canRun(account, copied.postgres, ['--version'])) return copied
  const unfinished = await mkdtemp(`${copy}.new-`)
  try {
    await cp(dirname(dirname(binaries.postgres)), unfinished, { recursive: true, verbatimSymlinks: true })
    await chmod(unfinished, 0o755)
    await run('chmod', ['-R', 'a+rX', unfinished])
    await rename(unfinished, copy)
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true })
    // Another process may have made the same copy first.
    if (await canRun(account, copied.postgres, ['--version'])) return copied
    throw new StartupError(`cannot copy PostgreSQL to ${copy}: ${messageOf(cause)}`, { cause })
  }
  return copied
}

function succeedsAs(account: PostgresAccount, program: string, args: readonly string[]): Promise<boolean> {
  const command = commandAs(account, program, args)
  return succeeds(command.file, command.args, command.options)
}

async function succeeds(file: string, args: readonly string[], options = {}): Promise<boolean> {
  try {
    await run(file, args, options)
    return true
  } catch {
    return false
  }
}
