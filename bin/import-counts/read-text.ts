import { TextDecoder } from 'node:util'
import { gunzip } from '../import-log/gunzip.ts'

/** The first bytes of files that are not text, and what they are. */
const OTHERS: readonly [name: string, bytes: readonly number[]][] = [
  ['a zip archive', [0x50, 0x4b, 0x03, 0x04]],
  ['packed with xz', [0xfd, 0x37, 0x7a, 0x58]],
  ['packed with bzip2', [0x42, 0x5a, 0x68]],
  ['packed with zstd', [0x28, 0xb5, 0x2f, 0xfd]],
]

/** The longest of the signatures in {@link OTHERS}. */
const HEAD_BYTES = 4

/**
 * The text of a file, piece by piece: UTF-8 or, with a byte order mark, UTF-16; plain or gzip.
 * @param onBytes called with the size of each piece, before unpacking.
 * @throws an error for the user, if the file is packed in another way; the error of the source or of the gzip data.
 */
export async function* readText(
  source: AsyncIterable<Uint8Array | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<string, void> {
  let head = Buffer.alloc(0)
  let decoder: TextDecoder | undefined
  for await (const piece of gunzip(buffers(source, onBytes))) {
    if (decoder !== undefined) {
      yield decoder.decode(piece, { stream: true })
      continue
    }
    head = Buffer.concat([head, piece])
    if (head.length < HEAD_BYTES) continue
    decoder = decoderOf(head)
    yield decoder.decode(head, { stream: true })
  }
  yield decoder === undefined ? decoderOf(head).decode(head) : decoder.decode()
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

/** A decoder that drops the byte order mark. */
function decoderOf(head: Buffer): TextDecoder {
  for (const [name, bytes] of OTHERS)
    if (bytes.every((byte, index) => head[index] === byte))
      throw new Error(`This file is ${name}: unpack it, and import the file in it that has the views of pages.`)
  if (head[0] === 0xff && head[1] === 0xfe) return new TextDecoder('utf-16le')
  return new TextDecoder(head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'utf-8')
}
