import { decodeText } from '../import-log/decode-text.ts'
import { openPieces } from '../import-log/pieces.ts'
import { unpack } from '../import-log/unpack.ts'

const ZIP = Buffer.from('PK\x03\x04')

/**
 * The text of a file, piece by piece: plain or compressed (see `unpack`), in UTF-8 or UTF-16.
 * @param onBytes called with the size of each piece, before unpacking.
 * @throws an error for the user, if the file is a zip archive; the error of the source or of the compressed data.
 */
export async function* readText(
  source: AsyncIterable<Uint8Array | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  for await (const piece of decodeText(refuseZip(unpack(buffers(source, onBytes)))))
    yield decoder.decode(piece, { stream: true })
  yield decoder.decode()
}

async function* buffers(
  source: AsyncIterable<Uint8Array | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Buffer, void> {
  for await (const piece of source) {
    const bytes = Buffer.from(piece)
    onBytes(bytes.length)
    yield bytes
  }
}

async function* refuseZip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const pieces = source[Symbol.asyncIterator]()
  try {
    const { head, all } = await openPieces(pieces, ZIP.length)
    if (head.subarray(0, ZIP.length).equals(ZIP))
      throw new Error('This file is a zip archive: unpack it, and import the file in it that has the views of pages.')
    yield* all
  } finally {
    await pieces.return?.()
  }
}
