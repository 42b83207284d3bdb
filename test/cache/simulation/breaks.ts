import { PACE } from '../../../cache/protocol.ts'
import type { Lifetime, Store } from '../../../cache/store.ts'
import type { Break } from './simulate.ts'

const FOR_EVER: Lifetime = { ttlMs: 1e9, keepForMs: 1e9 }

/** For each promise an algorithm that breaks it, by its fault; `says` matches the report of the simulation. */
export const BREAKS: Record<string, Break & { says: RegExp }> = {
  'a commit ignores the generation': {
    says: /stores \d+, invalidated by|is answered, not|was confirmed/,
    shared: (store) => ({
      ...store,
      async commit(key, lease, value, times) {
        const committed = await store.commit(key, lease, value, times)
        if (!committed.startsWith('outdated')) return committed
        const token = `${lease.token} again`
        const anew = await store.acquire(key, { token, leaseMs: 1, force: true })
        return anew.state === 'lease' ? store.commit(key, anew.lease, value, times) : committed
      },
    }),
  },
  'a late commit replaces a newer value': {
    says: /over a newer one/,
    shared: (store) => ({
      ...store,
      async commit(key, lease, value, times) {
        const committed = await store.commit(key, lease, value, times)
        if (committed !== 'lost') return committed
        const token = `${lease.token} again`
        const acquired = await store.acquire(key, { token, leaseMs: 1, force: true })
        return acquired.state === 'lease' ? store.commit(key, acquired.lease, value, times) : committed
      },
    }),
  },
  'a lease does not keep others out': {
    says: /a second lease/,
    shared: (store) => ({
      ...store,
      async acquire(key, request) {
        const acquired = await store.acquire(key, request)
        if (acquired.state !== 'wait') return acquired
        const { generation = '', found } = acquired
        return {
          state: 'lease',
          generation,
          lease: { token: request.token, generation, replaces: '', epoch: '' },
          found,
        }
      },
    }),
  },
  'a lease is never renewed': {
    says: /a second lease/,
    shared: (store) => ({ ...store, renew: async () => true }),
  },
  'the lease of a dead holder never expires': {
    says: /has waited|in peace/,
    shared: (store) => ({
      ...store,
      acquire: (key, request) => store.acquire(key, { ...request, leaseMs: 1e9 }),
      renew: (key, lease) => store.renew(key, lease, 1e9),
    }),
  },
  'a failed load never releases its lease': {
    says: /has waited|in peace/,
    shared: (store) => ({
      ...store,
      async fail(key, lease) {
        await store.renew(key, lease, 1e9)
        return { coolDownMs: 0, found: undefined }
      },
    }),
  },
  'a hard invalidation is a soft one': {
    says: /was confirmed/,
    shared: (store) => ({ ...store, invalidate: (_mode, cause) => store.invalidate('soft', cause) }),
  },
  'a soft invalidation does nothing': {
    says: /in peace|stores \d+, invalidated by/,
    shared: (store) => ({
      ...store,
      invalidate: async (mode, cause) => mode === 'soft' || store.invalidate(mode, cause),
    }),
  },
  'different causes are treated as one': {
    says: /was confirmed/,
    shared: (store) => ({
      ...store,
      invalidate: (mode, cause) => store.invalidate(mode, cause && 'a change'),
    }),
  },
  'a change that waits for its turn counts as made': {
    says: /was confirmed/,
    shared: (store) => ({
      ...store,
      async invalidateForChange(mode, change) {
        const applied = await store.invalidateForChange(mode, change)
        return applied.state === 'paced' ? { ...applied, state: 'known' } : applied
      },
    }),
  },
  'an end from before a change counts for it': {
    says: /was confirmed/,
    shared: (store) => ({
      ...store,
      invalidateForChange: (mode, { cause, after }) =>
        store.invalidateForChange(mode, { cause, after: after === undefined ? after : after - 1 }),
    }),
  },
  'a change that waits for its turn is forgotten': {
    says: /changes to make/,
    shared: (store) => ({
      ...store,
      async invalidateForChange(mode, change) {
        const applied = await store.invalidateForChange(mode, change)
        return applied.state === 'paced' ? { ...applied, pauseMs: 1e9 } : applied
      },
    }),
  },
  'each process has a pace of its own': {
    says: /ms after another/,
    shared: (store) => ({
      ...store,
      async invalidateForChange(mode, { cause }) {
        const isEnded = await store.invalidate(mode, cause)
        return { state: isEnded ? 'ended' : 'known', pauseMs: PACE.shortestMs[mode], ends: 0 }
      },
    }),
  },
  'a slow load is overtaken by change after change': {
    says: /ms after another/,
    shared: (store) => ({
      ...store,
      commit: (key, lease, value, times) => store.commit(key, lease, value, { ...times, loadedInMs: 0 }),
    }),
  },
  'an invalidation with a cause does not wait for the copies': {
    says: /was confirmed/,
    cache(cache, { clock }) {
      return {
        ...cache,
        async invalidate(mode, { idempotencyKey } = {}) {
          await cache.invalidate(mode, { idempotencyKey, wait: false })
          if (mode === 'hard' && idempotencyKey === undefined)
            await new Promise<void>((resolve) => clock.schedule(1000, resolve))
        },
      }
    },
  },
  'a hard invalidation does not wait for the copies': {
    says: /was confirmed/,
    cache: (cache) => ({
      ...cache,
      invalidate: (mode, { idempotencyKey } = {}) => cache.invalidate(mode, { idempotencyKey, wait: false }),
    }),
  },
  'copies never expire': {
    says: /was confirmed|is answered, not/,
    near: { maxStaleMs: 1e9 },
    cache: (cache, { clock }) => ({
      ...cache,
      async invalidate(mode, { idempotencyKey } = {}) {
        await cache.invalidate(mode, { idempotencyKey, wait: false })
        if (mode === 'hard') await new Promise<void>((resolve) => clock.schedule(1000, resolve))
      },
    }),
  },
  'a reader after an invalidation joins a load from before it': {
    says: /was confirmed/,
    cache(cache) {
      const flights = new Map<string, ReturnType<typeof cache.read>>()
      return {
        ...cache,
        read(key, load) {
          const flight = flights.get(key) ?? cache.read(key, load).finally(() => flights.delete(key))
          flights.set(key, flight)
          return flight
        },
      }
    },
  },
  'a value loaded during an outage never expires': {
    says: /cut off, answers/,
    backup: (store) => ({ ...store, commit: (key, lease, value) => store.commit(key, lease, value, FOR_EVER) }),
  },
  'a command to the store has no timeout': {
    says: /has waited|is still invalidating|in peace/,
    failover: { deadlineMs: 1e9 },
  },
  'a list that is not read again is not dropped': {
    says: /there after its time/,
    shared: (store) => ({
      ...store,
      commit: (key, lease, value, times) => store.commit(key, lease, value, { ...times, unreadForMs: times.keepForMs }),
    }),
  },
  'a list that is read again is dropped': {
    says: /gone before its time/,
    shared: (store) => ({
      ...store,
      commit: (key, lease, value, { unreadForMs = 0, ...times }) =>
        store.commit(key, lease, value, { ...times, keepForMs: unreadForMs }),
    }),
  },
  'parallel loads have no limit': {
    says: /loads at once/,
    loads: { max: 1e9, maxWaiting: 0, patienceMs: 0 },
  },
  'an error of the store reaches the reader': {
    says: /a read fails with/,
    backup: (store): Store => ({ ...store, acquire: () => Promise.reject(new Error('ECONNREFUSED')) }),
  },
}
