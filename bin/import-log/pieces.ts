/** The pieces of a stream from a first one: a stream can be read only once, and its first bytes tell what it is. */
export interface Opened {
  /** The first piece. It has at least the wanted bytes, unless the stream is shorter: a pipe may deliver single bytes. */
  head: Buffer
  /** All pieces, with the head. */
  all: AsyncGenerator<Buffer, void>
}

/** Reads the first bytes of a stream. An error of the stream comes after the pieces before it. */
export async function openPieces(pieces: AsyncIterator<Buffer>, wanted: number): Promise<Opened> {
  let head = Buffer.alloc(0)
  try {
    while (head.length < wanted) {
      const next = await pieces.next()
      if (next.done === true) break
      head = Buffer.concat([head, next.value])
    }
  } catch (error) {
    return { head, all: prepend(head, { next: () => Promise.reject(error) }) }
  }
  return { head, all: prepend(head, pieces) }
}

/** All pieces of an iterator, after a first one. */
export async function* prepend(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void> {
  yield head
  yield* { [Symbol.asyncIterator]: () => rest }
}
