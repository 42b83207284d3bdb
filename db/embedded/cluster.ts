import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { codeOf, messageOf, StartupError } from '../../lib/errors.ts'
import { checkAccess, chownTo, detectAccount, executableBinaries, type PostgresAccount } from './account.ts'
import { findEmbeddedPostgres, type PostgresBinaries } from './binaries.ts'
import { isProcessAlive } from './postmaster-pid.ts'
import { initDataFolder, type PostgresProgram } from './server.ts'

/** The files of an embedded database, and the programs that work on them. */
export interface EmbeddedCluster extends PostgresProgram {
  dataDirectory: string
  logFile: string
  /** Of the role that everything connects as: see `role.ts`. */
  password: string
  /** The data folder was made by this call. */
  created: boolean
}

export interface ClusterOptions {
  directory: string
  binaries?: PostgresBinaries
  account?: PostgresAccount
}

/**
 * Opens the files of the embedded database in `directory/postgres`, making what is missing:
 * `data`, `password` (mode 0600) and `postgres.log`. Safe to call by several processes at once.
 * @throws StartupError when the folder cannot be used, or holds the data of another major version.
 */
export async function openCluster(options: ClusterOptions): Promise<EmbeddedCluster> {
  const account = options.account ?? (await detectAccount())
  const found = options.binaries ?? (await findEmbeddedPostgres())
  const directory = resolve(options.directory)
  try {
    await mkdir(directory, { recursive: true })
    await checkAccess(account, directory)
    const home = join(await realpath(directory), 'postgres')
    const dataDirectory = join(home, 'data')
    const binaries = await executableBinaries(account, found, directory)
    const created = !(await hasCluster(home)) && (await createCluster(home, { binaries, account }))
    const madeBy = (await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8')).trim()
    if (madeBy !== binaries.majorVersion) {
      throw new StartupError(
        `the data in ${home} was made by PostgreSQL ${madeBy} and this is ${binaries.majorVersion}: move that folder away to begin anew, or set DATABASE_URL to a PostgreSQL ${madeBy} that serves it`,
      )
    }
    await chownTo(account, home)
    const password = await readFile(join(home, 'password'), 'utf8')
    return { binaries, account, dataDirectory, logFile: join(home, 'postgres.log'), password, created }
  } catch (cause) {
    if (cause instanceof StartupError) throw cause
    throw new StartupError(`cannot keep the database in ${directory}: ${explain(cause)}`, { cause })
  }
}

/**
 * Makes the folder `home`, whole or not at all: it is filled under another name, then renamed. Of two processes doing so
 * at once one finds the name taken, and uses what the other has made.
 * @returns whether it was us.
 */
async function createCluster(home: string, program: PostgresProgram): Promise<boolean> {
  await removeUnfinished(home)
  const unfinished = await mkdtemp(`${home}.new-${process.pid}-`)
  try {
    const passwordFile = join(unfinished, 'password')
    await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
    await chownTo(program.account, unfinished)
    await initDataFolder({ ...program, dataDirectory: join(unfinished, 'data'), passwordFile })
    await rename(unfinished, home)
    return true
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error)) && (await hasCluster(home))) return false
    throw error
  }
}

/** Removes what processes left that were killed while they made a folder. */
async function removeUnfinished(home: string): Promise<void> {
  for (const name of await readdir(join(home, '..'))) {
    const [, pid] = /^postgres\.new-(\d+)-/.exec(name) ?? []
    if (pid !== undefined && !isProcessAlive(Number(pid)))
      await rm(join(home, '..', name), { recursive: true, force: true })
  }
}

function hasCluster(home: string): Promise<boolean> {
  return readFile(join(home, 'data', 'PG_VERSION')).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    },
  )
}

/** Why the folder cannot be used, in words. */
export function explain(error: unknown): string {
  const code = codeOf(error)
  if (code === 'EEXIST' || code === 'ENOTDIR') return 'there is a file of that name, and a folder is needed'
  if (code === 'ENOTEMPTY') return 'its folder postgres holds something else, move that away'
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return `this user may not read and write there (${code})`
  if (code === 'ENOSPC') return 'the disk is full'
  return messageOf(error)
}
