import type { IncomingHttpHeaders } from 'node:http'
import { createNetworkCheck, networkOf } from '../lib/address.ts'
import { parseForwarded } from '../lib/forwarded.ts'
import { truncate } from './client-text.ts'

/** Headers in which proxies and CDNs name the client. */
const HEADERS = [
  'x-forwarded-for',
  'forwarded',
  'cf-connecting-ip',
  'x-real-ip',
  'true-client-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'x-azure-clientip',
  'x-client-ip',
]

/** The last one is the network between the customers of a provider and its NAT (RFC 6598). */
const isInPrivateNetwork = createNetworkCheck(['loopback', 'linklocal', 'uniquelocal', '100.64.0.0/10'])

/** Whether an address is that of a private network, or of a Unix socket. */
export function isPrivate(address: string | undefined): boolean {
  return address === undefined || address === '' || isInPrivateNetwork(address)
}

/**
 * Returns the header in which a proxy names the client of a request, if the app does not trust that proxy: the address is
 * private, and the header begins with another one. `undefined`: the address is that of the client, as far as can be known.
 */
export function untrustedHeader(ip: string | undefined, headers: IncomingHttpHeaders): string | undefined {
  const sent = HEADERS.filter((name) => headers[name] !== undefined)
  if (sent.length === 0 || !isPrivate(ip)) return undefined
  const network = networkOf(ip)
  const isTaken = sent.some((name) => networkOf(clientOf(name, truncate(String(headers[name])))) === network)
  return isTaken ? undefined : sent[0]
}

function clientOf(name: string, value: string): string | undefined {
  return name === 'forwarded' ? parseForwarded(value)[0] : value
}
