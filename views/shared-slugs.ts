import type { FoundPost } from '../db/posts-by-slug.ts'
import { systemClock } from '../lib/clock.ts'
import { nonce } from '../lib/nonce.ts'
import { keyRoot } from '../lib/redis-keys.ts'
import { createRunner, defineScript, type Reply } from '../lib/redis-scripts-runner.ts'
import { readTextFile } from '../lib/text-files.ts'
import type { SharedRedis } from './buffers.ts'

/** The id of a live post, and for how long it is valid (ms). */
export interface KnownPost {
  id: string
  leftMs: number
}

/** Finds posts in the database: see `findPostsBySlug`. */
type Find = (slugs: readonly string[]) => Promise<ReadonlyMap<string, FoundPost>>

/** The ids of live posts that all processes know. */
export interface SharedSlugs {
  /** Finds posts by slugs. Slugs without a live post are missing, and are not remembered. */
  find(slugs: readonly string[]): Promise<ReadonlyMap<string, KnownPost>>
  /** A post may have been withdrawn: this process uses no result any more of a query that began earlier. */
  forget(): void
}

interface SharedSlugsOptions {
  /** `undefined`: each process knows its own. */
  redis: SharedRedis | undefined
  /** The prefix of all keys: see `keyRoot`. */
  prefix: string
  find: Find
  /** For how long the result of a query is valid (ms). */
  ttlMs: number
}

const KNOWN = defineScript(readTextFile('views/lua/known-slugs.lua'))

/** KEYS: slugs. ARGV: epoch, then for each slug the id of its post, and for how long it is remembered (ms). */
const REMEMBER = defineScript(`
for index, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1] .. ' ' .. ARGV[2 * index], 'PX', ARGV[2 * index + 1]) end
return 1`)

/**
 * Remembers live posts in Redis, so that one process asks the database for a slug, and the others do not. While Redis does not
 * reply, each process asks the database.
 *
 * Why an epoch: a process that forgets ends it with its next command. What it finds after that was stored under an epoch that began
 * later, by a process that read the epoch before it asked the database. So the query of each result began after the change.
 *
 * Only slugs as the database has them are remembered: a client can write a slug in any number of other forms.
 */
export function createSharedSlugs({ redis, prefix, find, ttlMs }: SharedSlugsOptions): SharedSlugs {
  const findNow = async (slugs: readonly string[]) => {
    const found = await find(slugs)
    return new Map([...found].map(([slug, { id }]) => [slug, { id, leftMs: ttlMs }]))
  }
  if (redis === undefined) return { find: findNow, forget() {} }
  const { client, ask } = redis
  const run = createRunner(client)
  const keyOf = (...parts: string[]) => [keyRoot(prefix), 'slugs', ...parts].join(':')
  const epochKey = keyOf('epoch')
  let changes = 0
  let forgotten = 0

  async function readKnown(slugs: readonly string[]) {
    const upTo = changes
    const keys = [epochKey, ...slugs.map((slug) => keyOf('of', slug))]
    const [epoch, ...replies] = (await ask(() => run(KNOWN, keys, forgotten < upTo ? 1 : 0, nonce()))) as Reply
    forgotten = Math.max(forgotten, upTo)
    const known = new Map<string, KnownPost>()
    slugs.forEach((slug, index) => {
      const id = String(replies[2 * index])
      if (id !== '') known.set(slug, { id, leftMs: Math.max(1, Number(replies[2 * index + 1])) })
    })
    return { epoch: String(epoch), known }
  }

  async function remember(epoch: string, found: ReadonlyMap<string, FoundPost>, sinceMs: number): Promise<void> {
    const posts = [...found].filter(([slug, post]) => slug === post.slug)
    if (posts.length === 0) return
    const leftMs = Math.max(1, Math.floor(ttlMs - (systemClock.now() - sinceMs)))
    const keys = posts.map(([slug]) => keyOf('of', slug))
    await ask(() => run(REMEMBER, keys, epoch, ...posts.flatMap(([, { id }]) => [id, leftMs])))
  }

  return {
    async find(slugs) {
      const shared = await readKnown(slugs).catch(() => undefined)
      if (shared === undefined) return findNow(slugs)
      const { epoch, known } = shared
      const unknown = slugs.filter((slug) => !known.has(slug))
      if (unknown.length === 0) return known
      const sinceMs = systemClock.now()
      const found = await find(unknown)
      // The reply does not depend on it: Redis reports its own errors.
      await remember(epoch, found, sinceMs).catch(() => {})
      for (const [slug, { id }] of found) known.set(slug, { id, leftMs: ttlMs })
      return known
    },
    forget() {
      changes += 1
    },
  }
}
