import { decodeText } from './decode-text.ts'
import { unpack } from './unpack.ts'

/** The greatest length of a line. Apache and nginx allow 8 kB for the request line and for each header. */
export const MAX_LINE_BYTES = 64 * 1024

/** A line of a log. */
export interface LogLine {
  /** The line without its end; of a line that is too long, the first {@link MAX_LINE_BYTES}. */
  bytes: Buffer
  isTooLong: boolean
  /** Whether a line end follows: false only for the last line of a log, which may be unfinished. */
  isEnded: boolean
}

const LF = 0x0a
const CR = 0x0d

/**
 * Reads the lines of a log, plain or compressed (see `unpack`), in UTF-8 or UTF-16, in one batch for each piece of the
 * source.
 * Lines end with LF or CRLF. Memory is bounded by the pieces and {@link MAX_LINE_BYTES}.
 * @param onBytes called with the size of each piece, before unpacking.
 * @throws the error of the source or of the compressed data, after all lines before it were yielded.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array | string>,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<LogLine[], void> {
  const splitter = createSplitter()
  for await (const piece of decodeText(unpack(counted(source, onBytes)))) {
    const lines = splitter.split(piece)
    if (lines.length > 0) yield lines
  }
  const last = splitter.end()
  if (last !== undefined) yield [last]
}

async function* counted(
  source: AsyncIterable<Uint8Array | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Buffer, void> {
  for await (const piece of source) {
    const bytes =
      typeof piece === 'string' ? Buffer.from(piece) : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    onBytes(bytes.length)
    yield bytes
  }
}

/** Splits pieces of a log into lines. */
export interface LineSplitter {
  split(piece: Buffer): LogLine[]
  /** The last line, if it has no line end. */
  end(): LogLine | undefined
}

export function createSplitter(): LineSplitter {
  // One byte more than a line may have, for the CR of a CRLF, which is not part of the line.
  const room = MAX_LINE_BYTES + 1
  let begun: Buffer[] = []
  let kept = 0
  let isOver = false

  function add(bytes: Buffer): void {
    const part = bytes.subarray(0, room - kept)
    if (part.length > 0) begun.push(part)
    kept += part.length
    isOver ||= part.length < bytes.length
  }

  function take(isEnded: boolean): LogLine {
    const [first] = begun
    const all = begun.length === 1 && first !== undefined ? first : Buffer.concat(begun)
    const line = !isOver && all.at(-1) === CR ? all.subarray(0, -1) : all
    const isTooLong = isOver || line.length > MAX_LINE_BYTES
    begun = []
    kept = 0
    isOver = false
    return { bytes: line.subarray(0, MAX_LINE_BYTES), isTooLong, isEnded }
  }

  return {
    split(piece: Buffer): LogLine[] {
      const lines: LogLine[] = []
      let start = 0
      for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, start)) {
        add(piece.subarray(start, end))
        lines.push(take(true))
        start = end + 1
      }
      add(piece.subarray(start))
      return lines
    },
    end: () => (kept === 0 ? undefined : take(false)),
  }
}
