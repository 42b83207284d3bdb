import { randomBytes } from 'node:crypto'

/** A new random name, never the same twice. */
export function nonce(): string {
  return randomBytes(9).toString('base64url')
}
