import { createGunzip } from 'node:zlib'
import { openPieces, prepend } from './pieces.ts'

/** Bytes written at once. Deflate expands at most 1,032 times, so the unpacked data of one write is at most 4 MB. */
const FEED_BYTES = 4 * 1024
const MAGIC = Buffer.from([0x1f, 0x8b])

/**
 * Unpacks gzip, detected by its first bytes; other data is passed on. There may be any number of members (RFC 1952), also
 * with zeros between and after them, which tapes and tools that write whole blocks add.
 * @throws an error that describes the damage, after all data before the damage was yielded.
 */
export async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const pieces = source[Symbol.asyncIterator]()
  try {
    const { head, all } = await openPieces(pieces, MAGIC.length)
    if (!head.subarray(0, MAGIC.length).equals(MAGIC)) return yield* all
    let rest: Buffer | undefined = head
    while (rest !== undefined) {
      const padded: Buffer | undefined = yield* unpackMembers(prepend(rest, pieces))
      rest = padded === undefined ? undefined : await skipZeros(padded, pieces)
    }
  } finally {
    await pieces.return?.()
  }
}

/**
 * A stream that fails discards the data that it has already unpacked (`destroy` empties the read buffer), so a damaged
 * archive would lose more lines than the damaged ones. Hence this stream flows into `unpacked`, gets small writes, and
 * every piece is yielded before the next write can fail. A zero after a member ends the stream, and a write of it is
 * never called back.
 * @returns the data from that zero; `undefined` at the end of the source.
 */
async function* unpackMembers(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, Buffer | undefined> {
  const stream = createGunzip()
  const unpacked: Buffer[] = []
  stream.on('data', (piece: Buffer) => unpacked.push(piece))
  let hasEnded = false
  let settle: (error?: Error | null) => void
  stream.on('error', (error) => settle(error))
  stream.on('end', () => {
    hasEnded = true
    settle()
  })
  const settled = (step: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      settle = (error) => (error == null ? resolve() : reject(damaged(error)))
      step((error) => settle(error))
    })
  try {
    for await (const piece of detached(pieces)) {
      for (let start = 0; start < piece.length; start += FEED_BYTES) {
        const before = stream.bytesWritten
        await settled((done) => stream.write(piece.subarray(start, start + FEED_BYTES), done))
        yield* unpacked.splice(0)
        if (hasEnded) return piece.subarray(start + stream.bytesWritten - before)
      }
    }
    await settled(() => stream.end())
    yield* unpacked.splice(0)
    return undefined
  } catch (error) {
    yield* unpacked.splice(0)
    throw error
  } finally {
    stream.destroy()
  }
}

/** The pieces of an iterable that stays open when a loop over them ends. */
function detached(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const iterator = pieces[Symbol.asyncIterator]()
  return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) }
}

/** @returns the data from the first other byte; `undefined`: only zeros follow. */
async function skipZeros(first: Buffer, pieces: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  for (let piece = first; ; ) {
    const start = piece.findIndex((byte) => byte !== 0)
    if (start !== -1) return piece.subarray(start)
    const next = await pieces.next()
    if (next.done === true) return undefined
    piece = next.value
  }
}

function damaged(cause: Error): Error {
  const isCutOff = 'code' in cause && cause.code === 'Z_BUF_ERROR'
  const problem = isCutOff ? 'it is truncated, as after an interrupted copy' : `it is damaged (${cause.message})`
  return new Error(`The gzip data cannot be read to its end: ${problem}.`, { cause })
}
