import { createScripts } from '../../cache/redis-scripts.ts'
import type { Store } from '../../cache/store.ts'

/**
 * Reads the time from a key of the same slot, `{prefix}:now`. The clock of Redis still runs, so keys expire a thousand
 * times later than the scripts set: the scripts decide by the virtual clock what has expired.
 */
const VIRTUAL_TIME = `local call = redis.call
local now = tonumber(call('GET', (string.gsub(KEYS[1], 'gen$', 'now'))) or '0')
local redis = {pcall = redis.pcall, call = function(name, ...)
  if name ~= 'PEXPIRE' then return call(name, ...) end
  local key, ms = ...
  return call(name, key, string.format('%.0f', ms * 1000))
end}`

/** The scripts of the Redis store, on the virtual clock in `{prefix}:now`. */
export const virtualScripts = createScripts(VIRTUAL_TIME)

/** Adds a prefix to the keys of a store: key `a` becomes `{prefix}:a`. */
export function withPrefix(store: Store, prefix: string): Store {
  const full = (key: string) => `{${prefix}}:${key}`
  return {
    ...store,
    acquire: (key, request) => store.acquire(full(key), request),
    commit: (key, lease, value, lifetime) => store.commit(full(key), lease, value, lifetime),
    renew: (key, lease, leaseMs) => store.renew(full(key), lease, leaseMs),
    fail: (key, lease, coolDown) => store.fail(full(key), lease, coolDown),
    release: (key, lease) => store.release(full(key), lease),
    invalidateKey: (key) => store.invalidateKey(full(key)),
  }
}
