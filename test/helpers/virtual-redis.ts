import { createScripts } from '../../cache/redis-scripts.ts'
import type { Store } from '../../cache/store.ts'

/**
 * Time kept in a key of the same slot, `{prefix}:now`. Redis' own clock goes on meanwhile, so keys expire a thousand
 * times later than they say: what has run out by the virtual clock is for the scripts to tell.
 */
const VIRTUAL_TIME = `local call = redis.call
local now = tonumber(call('GET', (string.gsub(KEYS[1], 'gen$', 'now'))) or '0')
local redis = {pcall = redis.pcall, call = function(name, ...)
  if name ~= 'PEXPIRE' then return call(name, ...) end
  local key, ms = ...
  return call(name, key, string.format('%.0f', ms * 1000))
end}`

/** The scripts of the Redis store, on a clock that stands still until `{prefix}:now` is moved. */
export const virtualScripts = createScripts(VIRTUAL_TIME)

/** A store under keys of a prefix's own: `{prefix}:a` where the caller says `a`. */
export function withPrefix(store: Store, prefix: string): Store {
  const full = (key: string) => `{${prefix}}:${key}`
  return {
    ...store,
    acquire: (key, request) => store.acquire(full(key), request),
    commit: (key, lease, value, lifetime) => store.commit(full(key), lease, value, lifetime),
    renew: (key, lease, leaseMs) => store.renew(full(key), lease, leaseMs),
    fail: (key, lease, coolDown) => store.fail(full(key), lease, coolDown),
    release: (key, lease) => store.release(full(key), lease),
  }
}
