/**
 * The decoded path of a request target (RFC 9112, section 3.2), without query, fragment and origin. A path with invalid
 * escapes is returned unchanged.
 */
export function pathOf(target: string): string {
  const path = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '')
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** The query string of a request target, not decoded, without `?`. */
export function queryOf(target: string): string {
  const [, query = ''] = /^[^?#]*\?([^#]*)/.exec(target) ?? []
  return query
}

/**
 * Encodes a decoded path as the path of a URL. It begins with exactly one slash: `//host/x` would link to another site.
 */
export function urlOfPath(path: string): string {
  return `/${path.replace(/^\/+/, '').split('/').map(encodeURIComponent).join('/')}`
}

/**
 * Parses `--base-url`: the address without its trailing slash.
 * @throws an error for the user, if it is no http(s) URL of a site.
 */
export function parseBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSite = url !== undefined && /^https?:$/.test(url.protocol) && url.href === url.origin + url.pathname
  if (!isSite) throw new Error(`--base-url needs the address of the blog, such as https://blog.example, got: ${text}`)
  return url.href.replace(/\/+$/, '')
}

/** The address of a service with this `HOST` and `PORT`, seen from this machine. */
export function addressOf({ host, port }: { host: string; port: number }): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
