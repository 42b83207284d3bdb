import { createHash, type Hash } from 'node:crypto'
import type { LogChunk } from '../../db/log-imports.ts'

/** A stretch of a log, and how far the log has been hashed before it. */
interface OpenChunk extends LogChunk {
  isFull(): boolean
  /** Adds a line, without its line end. */
  add(line: Buffer): void
  /** The empty chunk that follows this one. */
  next(): OpenChunk
}

/** Lines are kept until their chunk is imported. A chunk of long lines ends here, so that it takes this much and no more. */
const MAX_CHUNK_BYTES = 16 * 1024 * 1024

/**
 * The first chunk of a log. Where chunks end depends on the lines before and in them and on nothing else, so that a log
 * that has grown is cut where it was cut before. For the same reason `chunkLines` must not change between imports.
 */
export function firstChunk(chunkLines: number): OpenChunk {
  return createChunk(createHash('sha256'), chunkLines, Buffer.allocUnsafe(256 * 1024))
}

/** @param buffer is used by one chunk after the other: a new one for each chunk would be garbage of the size of the log. */
function createChunk(hashBefore: Hash, chunkLines: number, buffer: Buffer): OpenChunk {
  let bytes = buffer
  let length = 0
  /** Where the first so many lines end. */
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

/** The digest so far; the hash can still go on. */
function digestOf(hash: Hash): string {
  return hash.copy().digest('hex')
}
