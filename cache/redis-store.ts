import { keyPrefixOf, keyRoot } from '../lib/redis-keys.ts'
import { createRunner, type RedisClient, type Reply } from '../lib/redis-scripts-runner.ts'
import { CAUSE_KNOWN_MS, MAX_BOUNDED_BYTES, MAX_EPOCHS, PACE } from './protocol.ts'
import { createScripts, type Scripts } from './redis-scripts.ts'
import type { Acquired, Applied, Committed, InvalidateMode, Store, StoredValue } from './store.ts'

/** What a store on Redis is made of. */
export interface RedisStoreOptions {
  client: RedisClient
  /** The prefix of all keys: see `keyRoot`. */
  prefix: string
  /** Returns a new random name, never the same twice, without a dot. */
  nonce: () => string
  /** For tests with a virtual clock. Default: scripts that use Redis' own clock. */
  scripts?: Scripts
  /** The bound on the bytes of entries that count to it: see `Lifetime`. Default `MAX_BOUNDED_BYTES`. */
  maxBoundedBytes?: number
}

/**
 * What an entry takes in the memory of Redis, at most: the allocator rounds the value up by a quarter; the name is there three
 * times, with the index; the rest are the fields of the entry.
 */
const bytesInRedis = (value: Uint8Array, key: string) => Math.ceil(1.25 * value.byteLength) + 3 * key.length + 1_500

/**
 * Creates a store on Redis 6.2 or newer, or Valkey, shared by all processes with the same prefix. Each operation is one
 * script; a commit may need another one, which drops entries.
 */
export function createRedisStore({
  client,
  prefix,
  nonce,
  scripts = createScripts(),
  maxBoundedBytes = MAX_BOUNDED_BYTES,
}: RedisStoreOptions): Store {
  const generationKey = `${keyRoot(prefix)}:gen`
  const channel = channelOf(client, prefix)
  const paceKey = `${keyRoot(prefix)}:pace`
  const epochsKey = `${keyRoot(prefix)}:epochs`
  const index = [`${keyRoot(prefix)}:index`, `${keyRoot(prefix)}:index-bytes`]
  const keysOf = (key: string) => [generationKey, key, `${key}:lease`, `${key}:cool`, paceKey, epochsKey, ...index]

  const run = createRunner(client)

  async function invalidate(mode: InvalidateMode, cause?: string, ...pace: (string | number)[]): Promise<Applied> {
    const keys = [generationKey, paceKey]
    if (cause !== undefined) keys.push(`${keyRoot(prefix)}:cause:${mode}:${cause}`)
    const args = [mode, nonce(), nonce(), channel, CAUSE_KNOWN_MS, PACE.knownMs, ...pace]
    const [state, pauseMs, ends] = (await run(scripts.invalidate, keys, ...args)) as Reply
    return { state: String(state) as Applied['state'], pauseMs: Number(pauseMs), ends: Number(ends) }
  }

  return {
    async acquire(key, { token, leaseMs, force = false }): Promise<Acquired> {
      const reply = await run(scripts.acquire, keysOf(key), nonce(), token, Math.ceil(leaseMs), force ? 1 : 0, key)
      const [state, generationBytes, bytes, ageMs, ttlMs, retryAfterMs, name, epoch] = reply as Reply
      const generation = String(generationBytes)
      const found = storedValue(bytes, ageMs, ttlMs)
      const replied = String(state)
      if (replied === 'hit' && found !== undefined) return { state: replied, generation, found }
      if (replied === 'lease') {
        const lease = { token, generation, replaces: String(name), epoch: String(epoch) }
        return { state: replied, generation, lease, found }
      }
      return { state: replied as 'wait' | 'cooling', generation, retryAfterMs: Number(retryAfterMs), found }
    },

    async commit(key, { token, generation, replaces, epoch }, value, lifetime) {
      const { ttlMs, keepForMs, unreadForMs = keepForMs, loadedInMs = 0, isBounded = false } = lifetime
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      const times = [ttlMs, keepForMs, unreadForMs, loadedInMs, PACE.knownMs].map(Math.ceil)
      const args = [token, generation, replaces, bytes, channel, ...times, epoch]
      if (isBounded) args.push(key, bytesInRedis(value, key), maxBoundedBytes)
      const [reply, ...drop] = [await run(scripts.commit, keysOf(key), ...args)].flat()
      const named = drop.map(String)
      const names = named.filter((_text, at) => at % 2 === 0)
      // The value is stored already: what is not dropped now, a later commit drops.
      if (names.length > 0) await Promise.allSettled([run(scripts.drop, [generationKey, ...index, ...names], ...named)])
      return String(reply) as Committed
    },

    async renew(key, { token }, leaseMs) {
      return (await run(scripts.renew, keysOf(key), token, Math.ceil(leaseMs))) === 1
    },

    async fail(key, { token }, { firstMs, maxMs }) {
      const [coolDownMs, bytes, ageMs, ttlMs] = (await run(scripts.fail, keysOf(key), token, firstMs, maxMs)) as Reply
      return { coolDownMs: Number(coolDownMs), found: storedValue(bytes, ageMs, ttlMs) }
    },

    async release(key, { token }) {
      await run(scripts.release, keysOf(key), token)
    },

    async invalidate(mode, cause) {
      const { state } = await invalidate(mode, cause)
      return state === 'ended'
    },

    async invalidateKey(key) {
      await run(scripts.invalidateKey, keysOf(key), nonce(), MAX_EPOCHS, channel)
    },

    invalidateForChange: (mode, { cause, after = '' }) =>
      invalidate(mode, cause, after, PACE.shortestMs[mode], PACE.longestMs, PACE.loads),

    async generation() {
      const generation = await run(scripts.generation, [generationKey])
      return generation instanceof Buffer ? generation.toString() : undefined
    },
  }
}

/**
 * Returns the name of the pub/sub channel of a store. Its messages are `committed KEY` and `invalidated`. The key is as
 * Redis knows it, with the client's `keyPrefix`; so is the channel, although ioredis leaves that to its caller.
 */
export function channelOf(client: RedisClient, prefix: string): string {
  return `${keyPrefixOf(client)}${keyRoot(prefix)}:events`
}

function storedValue(bytes: Reply[number] | undefined, ageMs: unknown, ttlMs: unknown): StoredValue | undefined {
  return bytes instanceof Buffer ? { value: bytes, ageMs: Number(ageMs), ttlMs: Number(ttlMs) } : undefined
}
