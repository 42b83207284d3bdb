import { isIP } from 'node:net'
import { createNetworkCheck } from '../../../lib/address.ts'

/** Addresses of proxies, containers and cloud networks: a reader of a public site has none of them. */
const isInNetwork = createNetworkCheck(['loopback', 'linklocal', 'uniquelocal', '100.64.0.0/10'])
const NO_ADDRESS = /^(?:unix:.*|-|localhost|)$/
/** The usual public address is not looked up. */
const PUBLIC = /^(?!10\.|127\.|172\.|192\.168\.|169\.254\.|100\.)\d+[.:]/

/** Whether the address is of a private network, of a Unix socket, or none. */
export function isPrivate(address: string): boolean {
  return !PUBLIC.test(address) && (NO_ADDRESS.test(address) || isInNetwork(address))
}

const PARTS =
  /^"?(?:\[([^\]]+)\](?::\d+)?|(\d[\d.]+)(?::\d+)?|((?:[\da-f]{1,4}:){7}[\da-f]{1,4}):\d+|([\da-f:.]+)(?:%\w+)?)[",]*$/i

/** Whether a word is an IP address, also with a port, in brackets, with a quote, or with the comma of a list. */
export function isAddress(word: string): boolean {
  const [, ...forms] = PARTS.exec(word) ?? []
  return forms.some((form) => form !== undefined && isIP(form) !== 0)
}

/** The first public address of a text like `X-Forwarded-For`; `undefined`: it has none, or is something else. */
export function publicAddressIn(text: string): string | undefined {
  const addresses = text.split(',').map((part) => part.trim())
  const isList = addresses.every((address) => isAddress(address) || address === 'unknown')
  return isList ? addresses.find((address) => address !== 'unknown' && !isPrivate(address)) : undefined
}

/**
 * The address of the reader. Behind a proxy all requests come from the proxy's private address; the reader is then the
 * first public address of a forwarded list. A public client is the reader: it could send any list.
 * @param forwarded texts that may be lists like `X-Forwarded-For`.
 */
export function readerOf(address: string, forwarded: Iterable<string>): string {
  if (!isPrivate(address)) return address
  for (const text of forwarded) {
    const reader = publicAddressIn(text)
    if (reader !== undefined) return reader
  }
  return address
}
