import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'

/** A file beside a log. */
export interface NearbyFile {
  file: string
  id: string
  changedMs: number
}

const COMPRESSED = /\.(?:gz|bz2|xz|zst|lz4|Z)$/
/** A number, a date or a time, such as `1`, `20240229`, `2024-02-29T10-00-00.000`. */
const NUMBER = '\\d[\\dTZ:._+-]*'
/** A name with fewer digits has no date. */
const DATE_DIGITS = 6
/** How long (ms) a log has not changed while another one has, when that continues it. */
const SILENT_MS = 600_000

/**
 * The files beside a log that have its name with a number or a date in front, before its extension or at the end, or
 * that end with `.old` and the like: as logrotate, nginx, Apache, Caddy and others name what they rotate.
 */
export async function findRotated(path: string): Promise<NearbyFile[]> {
  const ext = extname(path)
  const [stem, end] = [basename(path, ext), ext].map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const rotated = [
    `${NUMBER}[._-]${stem}${end}`,
    `${stem}[._-]${NUMBER}${end}`,
    `${stem}${end}[._-]\\d[\\w.-]*`,
    `${stem}[._-]old${end}`,
    `${stem}${end}(?:~|[._-](?:old|bak|backup|orig|prev|previous|save))`,
  ]
  const name = new RegExp(`^(?:${rotated.join('|')})$`)
  return filesBeside(path, (other) => name.test(other.replace(COMPRESSED, '')))
}

/**
 * The file that continues a log whose name has a date, such as `u_ex240229.log` of IIS: it has another date, and it has
 * changed for ten minutes since the log did.
 */
export async function findSuccessor(path: string): Promise<string | undefined> {
  const log = basename(path)
  if (log.replace(/\D/g, '').length < DATE_DIGITS) return undefined
  const shape = shapeOf(log)
  const files = await filesBeside(path, (other) => shapeOf(other) === shape)
  const changedMs = files.find(({ file }) => basename(file) === log)?.changedMs ?? Number.POSITIVE_INFINITY
  const later = files.filter((other) => other.changedMs - changedMs >= SILENT_MS)
  return later.sort((a, b) => b.changedMs - a.changedMs)[0]?.file
}

export const idOf = ({ dev, ino }: { dev: bigint; ino: bigint }) => `${dev} ${ino}`

/** Returns nothing where there is no file. */
export function ifMissing(error: Error): undefined {
  const { code } = (error.cause ?? error) as NodeJS.ErrnoException
  if (code !== 'ENOENT') throw error
}

const shapeOf = (name: string) => name.replace(/\d/g, '0')

async function filesBeside(path: string, isWanted: (name: string) => boolean): Promise<NearbyFile[]> {
  const found: NearbyFile[] = []
  for (const name of (await readdir(dirname(path))).sort()) {
    if (!isWanted(name)) continue
    const file = join(dirname(path), name)
    const stats = await stat(file, { bigint: true }).catch(ifMissing)
    if (stats?.isFile() === true) found.push({ file, id: idOf(stats), changedMs: Number(stats.mtimeMs) })
  }
  return found
}
