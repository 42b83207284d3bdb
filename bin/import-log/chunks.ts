import { createHash, type Hash } from 'node:crypto'
import type { LogChunk } from '../../db/log-imports.ts'

/** A chunk that lines are added to. */
interface OpenChunk extends LogChunk {
  isFull(): boolean
  /** Adds a line, without its line end. */
  add(line: Buffer): void
  /** The next chunk, still empty. */
  next(): OpenChunk
}

/** The greatest size of a chunk: it is in memory until it is imported. */
const MAX_CHUNK_BYTES = 16 * 1024 * 1024

/**
 * The first chunk of a log. The end of a chunk depends only on the lines before it and in it, so that a log that has
 * grown is split at the same lines again. For the same reason `chunkLines` must not change between imports.
 */
export function firstChunk(chunkLines: number): OpenChunk {
  return createChunk(createHash('sha256'), chunkLines, Buffer.allocUnsafe(256 * 1024))
}

/** @param buffer reused by each chunk: new buffers would add up to garbage of the size of the log. */
function createChunk(hashBefore: Hash, chunkLines: number, buffer: Buffer): OpenChunk {
  let bytes = buffer
  let length = 0
  /** The end of the first n lines, at index n. */
  const ends = [0]
  return {
    before: digestOf(hashBefore),
    get lines() {
      return ends.length - 1
    },
    isFull: () => ends.length > chunkLines || length >= MAX_CHUNK_BYTES,
    add(line) {
      if (length + line.length + 1 > bytes.length) {
        const grown = Buffer.allocUnsafe(2 * bytes.length + line.length)
        bytes.copy(grown, 0, 0, length)
        bytes = grown
      }
      length += line.copy(bytes, length)
      length = bytes.writeUInt8(0x0a, length)
      ends.push(length)
    },
    digestsAt(lines) {
      const digests = new Map<number, string>()
      const hash = hashBefore.copy()
      let hashed = 0
      for (const line of [...lines].sort((a, b) => a - b)) {
        hash.update(bytes.subarray(ends[hashed], ends[line]))
        hashed = line
        digests.set(line, digestOf(hash))
      }
      return digests
    },
    next: () => createChunk(hashBefore.copy().update(bytes.subarray(0, length)), chunkLines, bytes),
  }
}

/** The digest so far; the hash can be updated further. */
function digestOf(hash: Hash): string {
  return hash.copy().digest('hex')
}
