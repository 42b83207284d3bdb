import { createHmac } from 'node:crypto'
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

const DAY_MS = 86_400_000

/** Who looks at a post: a user that the site knows, or else a browser at an address. */
export interface Visitor {
  /** Of the client, as the server trusts it. */
  address: string
  userAgent: string
  userId?: string | undefined
}

/**
 * What is remembered of a visitor of a post: an HMAC under a secret that changes daily, 128 bits of it. Neither the visitor
 * nor two posts of one visitor can be told from it.
 */
export function pseudonym({ address, userAgent, userId }: Visitor, postId: string, salt: Buffer): string {
  const parts = userId === undefined ? ['address', networkOf(address), userAgent] : ['user', userId]
  const digest = createHmac('sha256', salt)
    .update(JSON.stringify([postId, ...parts]))
    .digest()
  return digest.subarray(0, 16).toString('base64url')
}

/**
 * The days (`YYYY-MM-DD`, UTC) whose secrets a view at this moment is looked up with: its own; and for views near the
 * beginning or the end of a day the one before or after, so that midnight makes nobody a new visitor, nor do processes
 * whose clocks differ.
 */
export function daysOfView(timeMs: number, dedupSeconds: number): [string, ...string[]] {
  const numberOf = (moment: number) => Math.floor(moment / DAY_MS)
  const [today, dedupMs] = [numberOf(timeMs), dedupSeconds * 1000]
  const others = [numberOf(timeMs - dedupMs), numberOf(timeMs + dedupMs)].filter((day) => day !== today)
  return [dateOf(today), ...others.map(dateOf)]
}

function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10)
}

/** An address, the same in every notation; of IPv6 the network (/64), within which a client chooses its addresses. */
export function networkOf(address: string): string {
  // Nearly all of them, and there is one notation of these.
  if (isIPv4(address) || !ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  if (parsed instanceof ipaddr.IPv4) return parsed.toString()
  return `${new ipaddr.IPv6([...parsed.parts.slice(0, 4), 0, 0, 0, 0])}/64`
}
