import { createGunzip } from 'node:zlib'

/** So little is fed at once that what it unpacks to is bounded: deflate grows at most 1,032 times, to 4 MB. */
const FEED_BYTES = 4 * 1024

/**
 * Unpacks gzip, told by its magic bytes (RFC 1952, section 2.3.1), of any number of members; passes on anything else.
 * @throws a sentence that says what is wrong with the data; all that could be unpacked before it has been handed out.
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

/** The first piece, and as many more as it takes to have the two magic bytes: a pipe may bring them one by one. */
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
 * A stream that fails throws away what it had already unpacked (`destroy` empties the read buffer): a damaged archive
 * would lose more lines than the damage. So this stream is driven by hand: it flows into `unpacked` and is fed little
 * by little, and every piece has been handed out before the next one can fail.
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
  const problem = isCutOff ? 'it ends before its end, as after an interrupted copy' : `it is damaged (${cause.message})`
  return new Error(`The gzip data cannot be read to its end: ${problem}.`, { cause })
}
