import type { LoggedRequest } from './formats/request.ts'

/** The most hosts that are counted: clients choose the names. */
const MAX_HOSTS = 1000
const HOST = /^[^\s\p{Cc}/?#@\\*]+$/u
/** A host with a port of any digits; the colons of an IPv6 address are in brackets. */
const WITH_PORT = /^(\[[^\]]*\]|[^:]*):\d*$/

/** Tells the requests to the hosts of `--host`. */
export interface HostCheck {
  /** Whether the request is to one of the hosts. */
  isWanted(request: Pick<LoggedRequest, 'host' | 'target'>): boolean
  /** The requests that are not: those whose line names no host, and the most frequent other hosts. */
  others(): OtherHosts
}

interface OtherHosts {
  withoutHost: number
  /** The three hosts with the most requests. */
  top: { host: string; requests: number }[]
}

/** @param names `undefined`: every host is wanted. */
export function createHostCheck(names: readonly string[] | undefined): HostCheck {
  const wanted = new Set(names?.map(normalHost))
  const others = new Map<string, number>()
  let withoutHost = 0
  let last = { text: '', host: '' }
  const normal = (text: string) => {
    if (text !== last.text) last = { text, host: normalHost(text) }
    return last.host
  }
  return {
    isWanted(request) {
      if (names === undefined) return true
      const text = hostOf(request)
      const host = text === undefined ? undefined : normal(text)
      if (host !== undefined && wanted.has(host)) return true
      if (host === undefined) withoutHost++
      else if (others.size < MAX_HOSTS || others.has(host)) others.set(host, (others.get(host) ?? 0) + 1)
      return false
    },
    others() {
      const all = [...others].map(([host, requests]) => ({ host, requests }))
      return { withoutHost, top: all.sort((a, b) => b.requests - a.requests).slice(0, 3) }
    },
  }
}

/**
 * Checks the values of `--host`.
 * @throws an error for the user, if one is no host.
 */
export function parseHosts(texts: readonly string[]): string[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => {
      const host = text.trim()
      if (!HOST.test(host)) throw new Error(`--host needs the name of a host, such as blog.example, got: ${text}`)
      return host
    })
}

/** The host that the server logged, or that of an absolute target. */
function hostOf({ host = '', target }: Pick<LoggedRequest, 'host' | 'target'>): string | undefined {
  if (host !== '' && host !== '-') return host
  const [, authority] = /^[a-z][a-z\d+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]+)/i.exec(target) ?? []
  return authority
}

/** A host without its port, in lower case, in one notation of an IPv6 address and of an international name. */
function normalHost(text: string): string {
  const [, host = text] = WITH_PORT.exec(text) ?? []
  // A URL would take a part of another text for the host.
  for (const url of HOST.test(host) ? [`http://${host}`, `http://[${host}]`] : []) {
    if (URL.canParse(url)) return new URL(url).hostname.replace(/\.$/, '')
  }
  return host.toLowerCase()
}
