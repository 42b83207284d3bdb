import { isPrivate } from './formats/readers.ts'

/** More addresses than a site has proxies. */
const MAX_PROXIES = 16
/** The requests that an address must have sent on average: a few readers of a small log are no proxies. */
const MIN_REQUESTS = 10

/** Finds out whether the addresses of a log are those of proxies. */
export function createClients() {
  const addresses = new Set<string>()
  let requests = 0
  return {
    add(address: string): void {
      requests++
      if (addresses.size <= MAX_PROXIES) addresses.add(address)
    },
    /** The addresses, if they are few, private, and sent many requests, or if it is a single one; else none. */
    proxies(): string[] {
      const all = [...addresses]
      const areFew = all.length > 0 && all.length <= MAX_PROXIES && requests >= MIN_REQUESTS * all.length
      return areFew && (all.length === 1 || all.every(isPrivate)) ? all : []
    },
  }
}
