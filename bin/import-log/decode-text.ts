import { openPieces } from './pieces.ts'

/** Byte order marks in hexadecimal digits. */
const MARKS = [
  { mark: 'efbbbf', encoding: 'utf-8' },
  { mark: 'fffe', encoding: 'utf-16le' },
  { mark: 'feff', encoding: 'utf-16be' },
] as const

/** Decodes UTF-16, which PowerShell writes, to UTF-8, by its byte order mark, and removes the mark of UTF-8. */
export async function* decodeText(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const pieces = source[Symbol.asyncIterator]()
  try {
    const { head, all } = await openPieces(pieces, 3)
    const digits = head.toString('hex', 0, 3)
    const found = MARKS.find(({ mark }) => digits.startsWith(mark))
    if (found === undefined) yield* all
    else yield* decode(all, found.encoding)
  } finally {
    await pieces.return?.()
  }
}

async function* decode(pieces: AsyncIterable<Buffer>, encoding: string): AsyncGenerator<Buffer, void> {
  const decoder = new TextDecoder(encoding)
  for await (const piece of pieces) yield Buffer.from(decoder.decode(piece, { stream: true }))
  yield Buffer.from(decoder.decode())
}
