import { createHmac } from 'node:crypto'
import { networkOf } from '../lib/address.ts'
import type { Place } from './reader-limit.ts'

const DAY_MS = 86_400_000

/** A visitor of a post: a user that the site knows, or else a browser at an address. */
export interface Visitor {
  /** The address of the client. */
  address: string
  userAgent: string
  /** See {@link userIdOf}. */
  userId?: unknown
}

/** Texts that a missing id becomes, as by `String(undefined)`. */
const NO_IDS = ['', 'null', 'undefined', 'NaN', 'Infinity', '-Infinity']

/**
 * Returns the id of a user as text: of a string, a number, a bigint, bytes (a binary UUID), or an object with a `toString` of
 * its own. `undefined`: the value names no user, such as `null`, an empty string, `false` or a promise. Otherwise all readers
 * without an id would be one.
 */
export function userIdOf(id: unknown): string | undefined {
  const text = textOfId(id).trim()
  return NO_IDS.includes(text) || text.startsWith('[object ') ? undefined : text
}

function textOfId(id: unknown): string {
  if (id instanceof Uint8Array) return Buffer.from(id).toString('hex')
  if (typeof id === 'object') return typeof id?.toString === 'function' ? String(id) : ''
  return typeof id === 'boolean' || typeof id === 'symbol' || typeof id === 'function' ? '' : String(id)
}

/**
 * Returns the pseudonym of a visitor of a post: 128 bits of an HMAC with a secret that changes daily. It reveals neither the
 * visitor nor which posts one visitor has read.
 */
export function pseudonym({ address, userAgent, userId }: Visitor, postId: string, salt: Buffer): string {
  const user = userIdOf(userId)
  const parts = user === undefined ? ['address', networkOf(address), userAgent] : ['user', user]
  return digestOf([postId, ...parts], salt)
}

/** What one customer or one provider has: a client chooses addresses within it. */
const PROVIDER = { v4: 24, v6: 48 }

/** Readers of a company or a school have few addresses; who wants to seem many readers has many. */
const ADDRESSES_PER_NETWORK = 5

/** Returns where a reader of a post is, as pseudonyms, with the limits of the option `readersPerAddress`. */
export function placeOf(address: string, postId: string, salt: Buffer, readersPerAddress: number): Place {
  return {
    network: digestOf([postId, 'network', networkOf(address, PROVIDER)], salt),
    address: digestOf([postId, 'place', networkOf(address)], salt),
    maxOfAddress: readersPerAddress,
    maxOfNetwork: ADDRESSES_PER_NETWORK * readersPerAddress,
  }
}

/** Returns where a view is from: the same for all views of a visitor, of a place and of a client, on every day. It is not stored. */
export function originOf({ address, userId }: Visitor): string {
  return userIdOf(userId) ?? networkOf(address, PROVIDER)
}

/** Returns the pseudonym of a client, whose views of all posts are limited together. */
export function clientOf(address: string, salt: Buffer): string {
  return digestOf(['client', networkOf(address)], salt)
}

function digestOf(parts: readonly string[], salt: Buffer): string {
  const digest = createHmac('sha256', salt).update(JSON.stringify(parts)).digest()
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
