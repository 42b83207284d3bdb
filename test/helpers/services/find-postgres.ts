import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describeBinaries, findEmbeddedPostgres, type PostgresBinaries } from '../../../db/embedded/binaries.ts'
import { folderWith } from './find-program.ts'

interface FoundPostgres {
  binaries: PostgresBinaries
  /** The origin of the programs, for the output. */
  from: string
}

/** Finds the newest PostgreSQL of this machine (that of Debian is not on the PATH), else the one from npm. */
export async function findPostgres(
  path = process.env['PATH'] ?? '',
  debian = '/usr/lib/postgresql',
): Promise<FoundPostgres> {
  const versions = await readdir(debian).catch(() => [])
  const debianPath = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(debian, version, 'bin'))
  const folder = await folderWith(['postgres', 'initdb'], [path, ...debianPath].join(delimiter))
  if (folder === undefined) return { binaries: await findEmbeddedPostgres(), from: 'npm' }
  const programs = { postgres: join(folder, 'postgres'), initdb: join(folder, 'initdb') }
  return { binaries: await describeBinaries(programs), from: folder }
}
