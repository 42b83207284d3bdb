import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { etagOf } from '../lib/entity-tags.ts'

/** A content coding of a compressed body (RFC 9110). */
export type Encoding = 'br' | 'gzip'

/** A body and its entity tag. */
export interface Representation {
  /** The bytes to send. Do not change them: they are shared. */
  body: Buffer
  /** The strong entity tag of these bytes (RFC 9110), with its quotes. */
  etag: string
}

/** The smallest body that is compressed: a smaller one fits into one packet anyway. */
const WORTH_COMPRESSING_BYTES = 1_000

const COMPRESS: Record<Encoding, (body: Buffer) => Buffer> = {
  // Fifty posts take 0.5 ms. The best quality takes 30 ms, for a body that is a tenth smaller.
  br: (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: (body) => gzipSync(body),
}

/** A list as a JSON array. Compressed representations are made at their first use, and kept. */
export class ListBody implements Representation {
  /** The JSON array, not compressed. */
  readonly body: Buffer
  /** The strong entity tag of `body`. */
  readonly etag: string
  #encoded: Partial<Record<Encoding, Representation>> | undefined
  readonly #mayCompress: () => boolean

  /**
   * @param body a JSON array.
   * @param etag the strong entity tag of `body`.
   * @param mayCompress whether the process may compress one more body now. Default: always.
   */
  constructor(body: Buffer, etag: string, mayCompress: () => boolean = () => true) {
    this.body = body
    this.etag = etag
    this.#mayCompress = mayCompress
  }

  /**
   * Returns the list with a content coding; without one if it is shorter than 1,000 bytes, or if the process has compressed
   * many unusual cuts of lists in this second.
   */
  encoded(encoding: Encoding): Representation {
    if (this.body.length < WORTH_COMPRESSING_BYTES) return this
    const known = this.#encoded?.[encoding]
    if (known !== undefined) return known
    if (!this.#mayCompress()) return this
    const body = COMPRESS[encoding](this.body)
    const representation = { body, etag: etagOf(body) }
    this.#encoded = { ...this.#encoded, [encoding]: representation }
    return representation
  }
}
