import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/**
 * The value of `CloudFront-Viewer-Address`: always with a port, an IPv6 address without brackets
 * (https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html).
 */
const WITH_PORT = /^\[?([\da-f.:]+?)\]?:\d{1,5}$/i

const digestOf = (text: string) => createHash('sha256').update(text).digest()

/**
 * Creates a function that returns the address of the reader as CloudFront names it; `undefined` for a request without the key,
 * which did not come through the distribution: a stranger may send the other header to the app itself.
 * @param key the value of the header `X-CloudFront-Key`, which the distribution adds to each request.
 */
export function createViewerAddress(key: string): (headers: IncomingHttpHeaders) => string | undefined {
  const expected = digestOf(key)
  return ({ 'x-cloudfront-key': sent = '', 'cloudfront-viewer-address': viewer }) => {
    const [, address = ''] = WITH_PORT.exec(String(viewer)) ?? []
    return isIP(address) !== 0 && timingSafeEqual(digestOf(String(sent)), expected) ? address : undefined
  }
}
