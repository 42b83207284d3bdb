import { createHmac } from 'node:crypto'
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

const DAY_MS = 86_400_000

/** A visitor of a post: a user that the site knows, or else a browser at an address. */
export interface Visitor {
  /** The address of the client. */
  address: string
  userAgent: string
  userId?: string | undefined
}

/**
 * Returns the pseudonym of a visitor of a post: 128 bits of an HMAC with a secret that changes daily. It reveals neither the
 * visitor nor which posts one visitor has read.
 */
export function pseudonym({ address, userAgent, userId }: Visitor, postId: string, salt: Buffer): string {
  const parts = userId === undefined ? ['address', networkOf(address), userAgent] : ['user', userId]
  const digest = createHmac('sha256', salt)
    .update(JSON.stringify([postId, ...parts]))
    .digest()
  return digest.subarray(0, 16).toString('base64url')
}

/**
 * Returns the days (`YYYY-MM-DD`, UTC) whose secrets are used to find repeats of a view at this time: its own day, and near
 * midnight the day before or after. So a visitor stays the same at midnight, and for processes whose clocks differ.
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

/** Normalizes an address. For IPv6 it returns the network (/64), because a client chooses addresses within its network. */
export function networkOf(address: string): string {
  // The usual case: IPv4 has one notation.
  if (isIPv4(address) || !ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  if (parsed instanceof ipaddr.IPv4) return parsed.toString()
  return `${new ipaddr.IPv6([...parsed.parts.slice(0, 4), 0, 0, 0, 0])}/64`
}
