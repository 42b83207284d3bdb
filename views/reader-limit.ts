/** Where the reader of a post is, and how many readers of it count in a window. */
export interface Place {
  /** The pseudonym of the network: /24 of IPv4, /48 of IPv6. */
  network: string
  /** The pseudonym of the address: of IPv6, of the /64. */
  address: string
  /** The most readers of the network. */
  maxOfNetwork: number
  /** The most readers of the address. */
  maxOfAddress: number
}

interface Readers {
  /** The time of the first reader, at which the window begins. */
  sinceMs: number
  all: number
  ofAddress: Map<string, number>
}

interface ReaderLimitOptions {
  windowMs: number
  /** The most networks that are remembered; the oldest are removed first. */
  maxNetworks: number
}

/**
 * Creates a limit of readers in the memory of this process: a function that tells whether one more reader of a place counts. The
 * window of a network begins with its first reader.
 */
export function createReaderLimit({ windowMs, maxNetworks }: ReaderLimitOptions) {
  /** By network, oldest window first. */
  const networks = new Map<string, Readers>()
  const isOver = ({ sinceMs }: Readers, timeMs: number) => Math.abs(timeMs - sinceMs) >= windowMs

  function evict(timeMs: number): void {
    for (const [network, readers] of networks) {
      if (networks.size <= maxNetworks && !isOver(readers, timeMs)) break
      networks.delete(network)
    }
  }

  return ({ network, address, maxOfNetwork, maxOfAddress }: Place, timeMs: number): boolean => {
    let readers = networks.get(network)
    if (readers === undefined || isOver(readers, timeMs)) {
      networks.delete(network)
      readers = { sinceMs: timeMs, all: 0, ofAddress: new Map() }
      networks.set(network, readers)
      evict(timeMs)
    }
    const ofAddress = readers.ofAddress.get(address) ?? 0
    if (readers.all >= maxOfNetwork || ofAddress >= maxOfAddress) return false
    readers.all += 1
    readers.ofAddress.set(address, ofAddress + 1)
    return true
  }
}
