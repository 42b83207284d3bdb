import { createGunzip } from 'node:zlib'

/** Bytes written at once. Deflate expands at most 1,032 times, so the unpacked data of one write is at most 4 MB. */
const FEED_BYTES = 4 * 1024

/**
 * Unpacks gzip with any number of members, detected by its magic bytes (RFC 1952, section 2.3.1); passes on other data.
 * @throws an error that describes the damage, after all data before the damage was yielded.
 */
export async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const pieces = source[Symbol.asyncIterator]()
  try {
    const head = await readHead(pieces)
    const all = prepend(head, { [Symbol.asyncIterator]: () => pieces })
    yield* head[0] === 0x1f && head[1] === 0x8b ? unpack(all) : all
  } finally {
    await pieces.return?.()
  }
}

async function* prepend(head: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  yield head
  yield* rest
}

/** The first piece, with more pieces until it has the two magic bytes: a pipe may deliver single bytes. */
async function readHead(pieces: AsyncIterator<Buffer>): Promise<Buffer> {
  let head = Buffer.alloc(0)
  while (head.length < 2) {
    const next = await pieces.next()
    if (next.done === true) break
    head = Buffer.concat([head, next.value])
  }
  return head
}

/**
 * A stream that fails discards the data that it has already unpacked (`destroy` empties the read buffer), so a damaged
 * archive would lose more lines than the damaged ones. Hence this stream flows into `unpacked`, gets small writes, and
 * every piece is yielded before the next write can fail.
 */
async function* unpack(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const stream = createGunzip()
  const unpacked: Buffer[] = []
  stream.on('data', (piece: Buffer) => unpacked.push(piece))
  let settle: (error?: Error | null) => void = () => {}
  stream.on('error', (error) => settle(error))
  const settled = (step: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      settle = (error) => (error == null ? resolve() : reject(damaged(error)))
      step((error) => settle(error))
    })
  try {
    for await (const piece of pieces) {
      for (let start = 0; start < piece.length; start += FEED_BYTES) {
        await settled((done) => stream.write(piece.subarray(start, start + FEED_BYTES), done))
        yield* unpacked.splice(0)
      }
    }
    await settled((done) => stream.once('end', done).end())
    yield* unpacked.splice(0)
  } catch (error) {
    yield* unpacked.splice(0)
    throw error
  } finally {
    stream.destroy()
  }
}

function damaged(cause: Error): Error {
  const isCutOff = 'code' in cause && cause.code === 'Z_BUF_ERROR'
  const problem = isCutOff ? 'it is truncated, as after an interrupted copy' : `it is damaged (${cause.message})`
  return new Error(`The gzip data cannot be read to its end: ${problem}.`, { cause })
}
