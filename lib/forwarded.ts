import type { IncomingHttpHeaders } from 'node:http'

const TOKEN = String.raw`[!#$%&'*+.^_\x60|~\w-]+`
// The colon and the brackets of an address need quotes, which some proxies leave out.
const PARAMETER = String.raw`(?:(${TOKEN})=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?`
const NEXT = new RegExp(String.raw`[ \t]*${PARAMETER}[ \t]*([,;]|$)`, 'y')

/** What the address of a client may consist of; also names such as `unknown` and `_hidden` (RFC 7239, section 6). */
const NODE = /^[\w.:[\]%-]+$/

/**
 * Returns the clients that a header `Forwarded` names, the first client first (RFC 7239).
 *
 * Each proxy appends a part of its own, so what a client sends stands before it. A quote that the client opens and does not
 * close must not hide the part of a proxy: such a header names no clients.
 */
export function parseForwarded(header: string): string[] {
  const clients: string[] = []
  let client = 'unknown'
  NEXT.lastIndex = 0
  for (;;) {
    const [, name, quoted, bare, end] = NEXT.exec(header) ?? []
    if (end === undefined) return []
    if (name?.toLowerCase() === 'for') client = bare ?? String(quoted).replace(/\\(.)/g, '$1')
    if (end === ';') continue
    clients.push(NODE.test(client) ? client : 'unknown')
    if (end === '') return clients
    client = 'unknown'
  }
}

/**
 * Sets `X-Forwarded-For` to the clients of `Forwarded`, for a server that reads the former only. A request that has both keeps
 * its own: a proxy that sets `X-Forwarded-For` usually passes on the `Forwarded` of a client.
 */
export function readForwarded(headers: IncomingHttpHeaders): void {
  const { forwarded } = headers
  if (!headers['x-forwarded-for'] && forwarded) headers['x-forwarded-for'] = parseForwarded(forwarded).join(', ')
}
