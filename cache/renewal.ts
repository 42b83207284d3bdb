import type { createTaskTracker } from './background.ts'
import { LoadTimeoutError } from './errors.ts'
import type { CacheOptions } from './options.ts'
import type { Lease } from './store.ts'

interface RenewalOptions extends Pick<CacheOptions, 'store' | 'clock' | 'policy'> {
  background: ReturnType<typeof createTaskTracker>
}

/** Makes a function that loads while the lease is renewed, each third of its time, until the load is done or takes too long. */
export function createRenewal({ store, clock, policy, background }: RenewalOptions) {
  /** @throws what the load threw; LoadTimeoutError when it takes too long. */
  return async function whileRenewing(key: string, lease: Lease, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    let isLoading = true
    const renewLater = () => clock.schedule(policy.leaseMs / 3, () => background.track(renew()))
    const renew = async () => {
      const isHeld = await store.renew(key, lease, policy.leaseMs)
      if (isHeld && isLoading) cancelRenewal = renewLater()
    }
    let cancelRenewal = renewLater()
    let giveUp: (error: Error) => void
    const tooLate = new Promise<never>((_resolve, reject) => {
      giveUp = reject
    })
    const cancelTimeout = clock.schedule(policy.loadTimeoutMs, () => giveUp(new LoadTimeoutError(policy.loadTimeoutMs)))
    try {
      return await Promise.race([load(), tooLate])
    } finally {
      isLoading = false
      cancelRenewal()
      cancelTimeout()
    }
  }
}
