import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { codeOf, messageOf, StartupError } from '../../lib/errors.ts'
import { checkAccess, chownTo, detectAccount, executableBinaries, type PostgresAccount } from './account.ts'
import { findEmbeddedPostgres, type PostgresBinaries } from './binaries.ts'
import { isProcessAlive } from './postmaster-pid.ts'
import { initDataFolder, type PostgresProgram } from './server.ts'

/** The files of an embedded database, and the programs that use them. */
export interface EmbeddedCluster extends PostgresProgram {
  /** The data folder of PostgreSQL. */
  dataDirectory: string
  /** The log of the server. */
  logFile: string
  /** The password of the role that every connection uses: see `role.ts`. */
  password: string
  /** Whether this call made the data folder. */
  created: boolean
}

/** Options of {@link openCluster}. */
export interface ClusterOptions {
  /** The folder of `DATA_DIR`. */
  directory: string
  binaries?: PostgresBinaries
  account?: PostgresAccount
}

/**
 * Opens the files of the embedded database in `directory/postgres`, and creates missing ones: `data`, `password` (mode
 * 0600) and `postgres.log`. Several processes may call it at once.
 * @throws StartupError if the folder cannot be used, or has the data of another major version.
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
        `the data in ${home} was made by PostgreSQL ${madeBy} and this is ${binaries.majorVersion}: move that folder away to start with an empty database, or set DATABASE_URL to a PostgreSQL ${madeBy} that serves it`,
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

/** Whether the folder of `DATA_DIR` has an embedded database. */
export async function hasEmbeddedDatabase(directory: string): Promise<boolean> {
  return hasCluster(join(resolve(directory), 'postgres'))
}

/**
 * Makes the folder `home` atomically: it is filled under another name, then renamed. Of two processes that do so at
 * once, one finds that the name exists, and uses the folder of the other.
 * @returns whether this process made it.
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

/** Removes the unfinished folders of killed processes. */
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

/** The reason why a folder cannot be used, as text. */
export function explain(error: unknown): string {
  const code = codeOf(error)
  if (code === 'EEXIST' || code === 'ENOTDIR') return 'there is a file of that name, and a folder is needed'
  if (code === 'ENOTEMPTY') return 'its folder postgres holds something else, move that away'
  if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return `this user may not read and write there (${code})`
  if (code === 'ENOSPC') return 'the disk is full'
  return messageOf(error)
}
