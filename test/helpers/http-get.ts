import { type IncomingHttpHeaders, request } from 'node:http'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

/** A reply, with its body as the client reads it. */
export interface HttpReply {
  status: number
  headers: IncomingHttpHeaders
  /** The content, without its encoding. */
  text: string
}

/**
 * Sends a request with exactly these headers: `fetch` would add `Accept-Encoding`, and `Cache-Control: no-cache` to a
 * conditional request.
 */
export function httpGet(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const bytes = Buffer.concat(chunks)
        // A 304 may name the encoding of the body that it does not have.
        const encoding = bytes.length > 0 ? response.headers['content-encoding'] : undefined
        const plain = encoding === 'gzip' ? gunzipSync(bytes) : encoding === 'br' ? brotliDecompressSync(bytes) : bytes
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: plain.toString() })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}
