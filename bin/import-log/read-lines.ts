import { gunzip } from './gunzip.ts'

/** A longer line is no request: Apache's and nginx's own limits are 8 kB for the request line and for each header. */
export const MAX_LINE_BYTES = 64 * 1024

export interface LogLine {
  /** Without the line end; of a line that is too long, the first {@link MAX_LINE_BYTES}. */
  bytes: Buffer
  isTooLong: boolean
  /** Whether a line end came after it: false only for the last line of a log, which may be half written. */
  isEnded: boolean
}

const LF = 0x0a
const CR = 0x0d

/**
 * The lines of a log, plain or gzip (told by its first bytes), in batches, one for each piece that the source hands out.
 * Lines end with LF or CRLF. Memory is bounded by the source's pieces and {@link MAX_LINE_BYTES}.
 * @param onBytes is told the size of each piece of the source, before it is unpacked.
 * @throws what the source threw, or what is wrong with the gzip data; all lines before the damage have been handed out.
 */
export async function* readLines(
  source: AsyncIterable<Uint8Array | string>,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<LogLine[], void> {
  const splitter = createSplitter()
  for await (const piece of gunzip(counted(source, onBytes))) {
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

function createSplitter() {
  // The line that has begun. One byte more than a line may have: the CR of a CRLF is not part of it.
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
    /** The line that has no line end, if there is one. */
    end: (): LogLine | undefined => (kept === 0 ? undefined : take(false)),
  }
}
