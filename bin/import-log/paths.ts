/**
 * The path of a request target (RFC 9112, section 3.2), decoded: no query, no fragment, no origin. A path whose escapes
 * are broken is left as it is.
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

/**
 * A decoded path as the path of a URL. It begins with exactly one slash, whatever the client sent: `//host/x` would be
 * a link to another site.
 */
export function urlOfPath(path: string): string {
  return `/${path.replace(/^\/+/, '').split('/').map(encodeURIComponent).join('/')}`
}

/**
 * What `--base-url` was given, without the slash at its end: what a path is put behind.
 * @throws a sentence for the user, when it is no http(s) URL of a site.
 */
export function parseBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSite = url !== undefined && /^https?:$/.test(url.protocol) && url.href === url.origin + url.pathname
  if (!isSite) throw new Error(`--base-url needs the address of the blog, such as https://blog.example, got: ${text}`)
  return url.href.replace(/\/+$/, '')
}

/** Where a service that listens there is reached from this machine. */
export function addressOf({ host, port }: { host: string; port: number }): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
