import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** A host name has at most 253 characters; a client may send more in a header. */
const MAX_LENGTH = 255

/** `[2001:db8::9]`, `[2001:db8::9]:443`. */
const IN_BRACKETS = /^\[([^\]]*)\](?::[\w.-]*)?$/
/** `198.51.100.9:4711`, `client.example:4711`; and all eight groups of an IPv6 address, with a port as the ninth. */
const WITH_PORT = /^([^:]+|(?:[\da-f]{1,4}:){7}[\da-f]{1,4}):[\w.-]*$/i

/** Ranges of IPv6 whose last 32 bits are the IPv4 address of a client: RFC 4291 (2.5.5.2), RFC 6145, RFC 6052. */
const IPV4_IN_IPV6 = ['ipv4Mapped', 'rfc6145', 'rfc6052']

const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/**
 * Returns the network of a client, in one notation for each network: the address itself for IPv4; the /64 for IPv6, because a
 * client chooses addresses within it. Ports, brackets, quotes and zones are removed. Of a list, such as a log may have from
 * `X-Forwarded-For`, it is the first address. Other text, such as a host name, is returned in lower case.
 * @param text the address as a server, a proxy, a gateway or a log names it; `undefined` on a Unix socket.
 * @param bits the lengths of the network. Default 32 and 64.
 */
export function networkOf(text: string | undefined, { v4, v6 }: NetworkBits = ONE_CLIENT): string {
  const bare = bareAddress(text)
  const address = parse(bare)
  if (address === undefined) return bare.toLowerCase()
  if (address instanceof ipaddr.IPv6) {
    const parts = address.parts.map((part, index) => (index < v6 / 16 ? part : 0))
    return `${new ipaddr.IPv6(parts)}/${v6}`
  }
  const octets = address.octets.map((octet, index) => (index < v4 / 8 ? octet : 0))
  return v4 === 32 ? octets.join('.') : `${octets.join('.')}/${v4}`
}

/** The length of a network in bits: whole bytes for IPv4, whole groups for IPv6. */
interface NetworkBits {
  v4: number
  v6: number
}

const ONE_CLIENT: NetworkBits = { v4: 32, v6: 64 }

/**
 * Whether a text names a network: an address, a CIDR such as `10.0.0.0/8`, or `loopback`, `linklocal` or `uniquelocal`. The
 * network of all addresses is none, and neither are short forms of IPv4 (`1`, `127.1`), which were meant as something else.
 */
export function isNetwork(text: string): boolean {
  return rangesOf(text).length > 0
}

/**
 * Creates a function that tells whether an address, in any notation, is in one of the networks.
 * @param networks each as `isNetwork` accepts it; spaces around it are ignored.
 */
export function createNetworkCheck(networks: readonly string[]): (address: string | undefined) => boolean {
  const ranges = networks.flatMap(rangesOf)
  return (text) => {
    const address = parse(bareAddress(text))
    return address !== undefined && ranges.some(([range, bits]) => contains(range, bits, address))
  }
}

function contains(range: Address, bits: number, address: Address): boolean {
  if (range instanceof ipaddr.IPv4) return address instanceof ipaddr.IPv4 && address.match(range, bits)
  return address instanceof ipaddr.IPv6 && address.match(range, bits)
}

function rangesOf(text: string): [Address, number][] {
  const network = text.trim()
  const named = Object.hasOwn(NAMED_NETWORKS, network) ? NAMED_NETWORKS[network] : undefined
  if (named !== undefined) return named.flatMap(rangesOf)
  const [, host = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(network) ?? []
  const address = parse(host)
  if (address === undefined) return []
  const most = address instanceof ipaddr.IPv4 ? 32 : 128
  // A length of the IPv6 notation of an IPv4 address counts from its 97th bit.
  const bits = length === undefined ? most : Number(length) - (most === 32 && host.includes(':') ? 96 : 0)
  return bits >= 1 && bits <= most ? [[address, bits]] : []
}

function parse(bare: string): Address | undefined {
  // The usual case: IPv4 has one notation.
  if (isIPv4(bare)) return ipaddr.IPv4.parse(bare)
  if (!ipaddr.IPv6.isValid(bare)) return undefined
  const address = ipaddr.IPv6.parse(bare)
  return IPV4_IN_IPV6.includes(address.range()) ? new ipaddr.IPv4(address.toByteArray().slice(12)) : address
}

function bareAddress(text = ''): string {
  const first = text
    .slice(0, MAX_LENGTH)
    .replace(/,.*$/s, '')
    .replace(/^[\s"]+|[\s"]+$/g, '')
  const [, address = first] = IN_BRACKETS.exec(first) ?? WITH_PORT.exec(first) ?? []
  return address
}
