import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../lib/errors.ts'
import { gunzip } from './gunzip.ts'
import { openPieces } from './pieces.ts'

/** Compressed data by its first bytes, in hexadecimal digits, and the command that unpacks it. */
const COMPRESSIONS = [
  { name: 'zstd', magic: /^(?:28b52ffd|5.2a4d18)/, command: 'zstd' },
  { name: 'bzip2', magic: /^425a683[1-9](?:314159265359|177245385090)/, command: 'bzip2' },
  { name: 'xz', magic: /^fd377a585a00/, command: 'xz' },
  { name: 'lz4', magic: /^04224d18/, command: 'lz4' },
  { name: 'compress', magic: /^1f9d/, command: 'gzip' },
] as const

export const MAGIC_BYTES = 10
/** Enough for the sentence of a command that fails. */
const MAX_ERROR_LENGTH = 1000

/** Whether a log that begins with these bytes is neither compressed nor in UTF-16. */
export function isPlain(head: Buffer): boolean {
  const digits = head.toString('hex', 0, MAGIC_BYTES)
  return !/^(?:1f8b|fffe|feff)/.test(digits) && COMPRESSIONS.every(({ magic }) => !magic.test(digits))
}

/**
 * Unpacks a log, detected by its first bytes: gzip here; zstd, bzip2, xz and lz4 by the command of that name, which
 * must be installed. Other data is passed on.
 * @throws an error for the user: the data is damaged, after all data before the damage was yielded; or the command is
 * not there.
 */
export async function* unpack(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const pieces = source[Symbol.asyncIterator]()
  try {
    const { head, all } = await openPieces(pieces, MAGIC_BYTES)
    const digits = head.toString('hex', 0, MAGIC_BYTES)
    const compression = COMPRESSIONS.find(({ magic }) => magic.test(digits))
    yield* compression === undefined ? gunzip(all) : runCommand(compression, all)
  } finally {
    await pieces.return?.()
  }
}

async function* runCommand(
  { name, command }: (typeof COMPRESSIONS)[number],
  packed: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void> {
  const child = spawn(command, ['-dc'])
  try {
    await once(child, 'spawn')
  } catch (error) {
    throw notInstalled(name, command, error)
  }
  const closed: Promise<[code: number | null]> = once(child, 'close') as Promise<[number | null]>
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = `${said}${text}`.slice(0, MAX_ERROR_LENGTH)
  })
  let readError: unknown
  const source = Readable.from(packed).on('error', (error) => {
    readError = error
  })
  // The command says why it closed its input.
  const fed = pipeline(source, child.stdin).catch(() => undefined)
  try {
    yield* child.stdout
    const [code] = await closed
    await fed
    if (readError !== undefined) throw readError
    if (code !== 0) throw new Error(`The ${name} data cannot be read to its end: ${said.trim()}`)
  } finally {
    child.kill()
  }
}

function notInstalled(name: string, command: string, cause: unknown): Error {
  return new Error(
    `The log is compressed by ${name}, and the command ${command} cannot be run (${messageOf(cause)}). Install it, or unpack the log first.`,
    { cause },
  )
}
