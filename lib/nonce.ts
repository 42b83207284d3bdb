import { randomBytes } from 'node:crypto'

/** Returns a new random name of 12 characters, never the same twice. It has no dot. */
export function nonce(): string {
  return randomBytes(9).toString('base64url')
}
