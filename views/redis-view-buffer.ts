import { createHash, randomBytes } from 'node:crypto'
import { nonce } from '../lib/nonce.ts'
import { keyRoot } from '../lib/redis-keys.ts'
import { createRunner, defineScript, type RedisClient, type Reply } from '../lib/redis-scripts-runner.ts'
import { readTextFile } from '../lib/text-files.ts'
import { batchPerTick } from './batch-per-tick.ts'
import { RATE_WINDOW_MS } from './fleet-rate.ts'
import {
  type AddResult,
  ASIDE_MS,
  MAX_ASIDE,
  MAX_BATCH_COUNTS,
  MAX_BATCHES,
  type PendingView,
  type TakeResult,
  type ViewBuffer,
  type ViewCount,
} from './view-buffer.ts'

interface RedisViewBufferOptions {
  client: RedisClient
  /** The prefix of all keys: see `keyRoot`. */
  prefix: string
  /** A visitor of a post counts once in this time. */
  dedupSeconds: number
  /** Runs commands for views and salts with a deadline. Default: without one. */
  ask?: <T>(work: () => Promise<T>) => Promise<T>
  /** Runs what `take`, `read`, `drop` and `setAside` do, of each shard by itself. Default: without a deadline. */
  askFlush?: <T>(work: () => Promise<T>) => Promise<T>
  /** Called with the number of counts of a batch that are not valid, because another program has written them. */
  onUnreadable?: (numbers: number) => void
  /** Called by `take` when Redis refuses the keys of a shard to the user: what waits there is not taken. */
  onRefused?: (error: unknown) => void
}

const ignore = () => {}
const runDirectly = <T>(work: () => Promise<T>) => work()

const ADD = defineScript(readTextFile('cache/lua/history.lua') + readTextFile('views/lua/add.lua'))

/** What the replies of ADD mean. */
const RESULTS: readonly AddResult[] = ['repeat', 'counted']

/** The most views of one command: they block Redis for about 0.3 ms. */
const MAX_VIEWS_PER_ADD = 100

const NAME = defineScript(readTextFile('views/lua/name.lua'))

const TAKE = defineScript(readTextFile('views/lua/take.lua'))

/** KEYS: batch. Returns field, views, field, views… */
const READ = defineScript(`
if redis.call('TYPE', KEYS[1]).ok == 'list' then return redis.call('LRANGE', KEYS[1], 0, -1) end
return redis.call('HGETALL', KEYS[1])`)

/** KEYS: ids of batches, batches set aside, batch. ARGV: id. */
const DROP = defineScript(`
redis.call('DEL', KEYS[3])
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`)

const SET_ASIDE = defineScript(readTextFile('views/lua/set-aside.lua'))

/** KEYS: salt. ARGV: a new salt, its time to live (ms). About PEXPIRE: see `add.lua`. */
const SALT = defineScript(`
local salt = redis.call('GET', KEYS[1])
if salt then return salt end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return ARGV[1]`)

/** The day itself, one day in which its visitors are remembered, and one day of reserve. */
const SALT_MS = 3 * 86_400_000

/**
 * The number of shards in a Cluster, the same in every process. Their names are the digits at the end of the hash tag. By CRC16
 * the slots of 0 to 3 are one in each quarter of all slots, so three equal nodes have one of them at least, and four just one.
 */
const SHARDS = 4

/** Redis refuses keys to the user, as those of the shards to one with the rights that earlier versions needed. */
const isRefused = (error: unknown) => error instanceof Error && error.message.startsWith('NOPERM')

/**
 * Creates a buffer in Redis, which all processes share: any process counts the batches that another one took. When Redis loses
 * its memory, the views since the last flush are lost.
 *
 * In a Cluster the buffer has shards in different slots, so that more nodes carry more views. A shard has the visitors of its
 * views, because the script that counts a view finds repeats, too. So the shard is that of the visitor, not of the post: a post
 * that many read is in all of them. A flush also takes from the buffer of a single Redis: earlier versions have only that one, and
 * a user without the right to the keys of the shards.
 */
export function createRedisViewBuffer(options: RedisViewBufferOptions): ViewBuffer {
  const single = createShard(options)
  const { client, ask = runDirectly, onRefused = ignore } = options
  if (client.isCluster !== true) return single
  const ofShards = { ...options, ask: runDirectly }
  const shards = Array.from({ length: SHARDS }, (_none, index) => createShard(ofShards, String(index)))
  const choose = (index: number) => shards[index] ?? single
  const ofBatch = (id: string) => choose(id[1] === '/' ? Number(id[0]) : SHARDS)
  return {
    ...single,
    add(view) {
      const digest = createHash('sha1').update(view.origin ?? '')
      const shard = choose(digest.digest().readUInt8() % SHARDS)
      return ask(() =>
        shard.add(view).catch((error: unknown) => {
          if (isRefused(error)) return single.add(view)
          throw error
        }),
      )
    },
    async take(newId) {
      const taken: TakeResult = { made: [], ids: [], aside: [], left: 0 }
      const takeOf = async (shard: ViewBuffer) => {
        const { made, ids, aside, left } = await shard.take(newId)
        taken.made.push(...made)
        taken.ids.push(...ids)
        taken.aside.push(...aside)
        taken.left += left
      }
      // A node that does not reply must not keep the views of the others.
      const fail = (error: unknown) => {
        taken.error ??= error
      }
      const failInShard = (error: unknown) => (isRefused(error) ? onRefused(error) : fail(error))
      await Promise.all([takeOf(single).catch(fail), ...shards.map((shard) => takeOf(shard).catch(failInShard))])
      return taken
    },
    read: (id) => ofBatch(id).read(id),
    drop: (id) => ofBatch(id).drop(id),
    setAside: (id, delayMs) => ofBatch(id).setAside(id, delayMs),
  }
}

/** Creates the buffer of a single Redis, or of one shard in a Cluster, whose batches have ids such as `2/…`. */
function createShard(
  {
    client,
    prefix,
    dedupSeconds,
    ask = runDirectly,
    askFlush = runDirectly,
    onUnreadable = ignore,
  }: RedisViewBufferOptions,
  shard?: string,
): ViewBuffer {
  const run = createRunner(client)
  // Another prefix may end with `:0`: its keys have no `shard`.
  const root = shard === undefined ? keyRoot(prefix) : `${keyRoot(prefix, `:${shard}`)}:shard`
  const mark = shard === undefined ? '' : `${shard}/`
  const key = (...parts: string[]) => [root, 'views', ...parts].join(':')
  const [batches, cursor, aside] = [key('batches'), key('cursor'), key('aside')]
  const buffer = [key('buffer'), key('buffer', 'name')] as const
  const restored = [key('restored'), key('restored', 'name')] as const
  const batch = (id: string) => key('batch', id)
  // One command for each view would cost Redis and this process more than the rest of the recording.
  const add = batchPerTick(async (views: PendingView[]) => {
    const seen = views.flatMap(({ visitors, place, client }) => [
      ...visitors.map((visitor) => key('seen', visitor)),
      ...(place === undefined ? [] : [key('readers', place.network)]),
      ...(client === undefined ? [] : [key('client', client.pseudonym)]),
    ])
    const fields = views.flatMap(({ bucketStartMs, postId, visitors, place, client }) => [
      `${bucketStartMs} ${postId}`,
      visitors.length,
      place?.address ?? '',
      place?.maxOfAddress ?? 0,
      place?.maxOfNetwork ?? 0,
      client?.max ?? 0,
    ])
    const keys = [...buffer, ...restored, ...seen]
    return (await ask(() => run(ADD, keys, dedupSeconds * 1000, mark + nonce(), RATE_WINDOW_MS, ...fields))) as Reply
  }, MAX_VIEWS_PER_ADD)

  return {
    async add(view) {
      const reply = Number(await add(view))
      if (reply < 0) view.client?.onExceeded(-reply)
      return RESULTS[reply] ?? 'limited'
    },

    take: (newId) =>
      askFlush(async () => {
        const [isRestored, nextId] = (await run(NAME, [...buffer, ...restored], mark + newId)) as Reply
        const [source, other] = isRestored === 1 ? [restored, buffer] : [buffer, restored]
        const id = String(nextId)
        // If another process takes this batch between the two commands, this one takes none.
        const keys = [...source, other[0], batches, batch(id), cursor, aside]
        const reply = (await run(TAKE, keys, id, MAX_BATCHES, MAX_BATCH_COUNTS, ASIDE_MS)) as Reply
        const [left, firstId] = [Number(reply[0]), 2 + Number(reply[1])]
        const ids = reply.slice(firstId).map(String)
        return { left, aside: reply.slice(2, firstId).map(String), ids, made: ids.filter((one) => one === id) }
      }),

    async read(id) {
      const reply = (await askFlush(() => run(READ, [batch(id)]))) as Reply
      const found: ViewCount[] = []
      for (let index = 0; index < reply.length; index += 2) {
        const views = parseCount(String(reply[index]), Number(reply[index + 1]))
        if (views !== undefined) found.push(views)
      }
      const unreadable = reply.length / 2 - found.length
      if (unreadable > 0) onUnreadable(unreadable)
      return found
    },

    async drop(id) {
      await askFlush(() => run(DROP, [batches, aside, batch(id)], id))
    },

    async setAside(id, delayMs) {
      return (await askFlush(() => run(SET_ASIDE, [batches, aside, batch(id)], id, delayMs, MAX_ASIDE))) === 1
    },

    async salt(day) {
      return (await ask(() => run(SALT, [key('salt', day)], randomBytes(32), SALT_MS))) as Buffer
    },
  }
}

/** The latest time that JavaScript and PostgreSQL write in the same way. */
const MAX_TIME_MS = Date.UTC(9999, 11, 31)

/** Parses a field of the buffer and its count; `undefined`: another program has written it. */
function parseCount(field: string, views: number): ViewCount | undefined {
  const space = field.indexOf(' ')
  const [bucketStartMs, postId] = [Number(field.slice(0, space)), field.slice(space + 1)]
  const isMoment = space > 0 && Number.isInteger(bucketStartMs) && bucketStartMs >= 0 && bucketStartMs <= MAX_TIME_MS
  // A text of PostgreSQL has no NUL.
  const isPost = postId !== '' && !postId.includes('\0')
  return isMoment && isPost && Number.isSafeInteger(views) && views > 0 ? { postId, bucketStartMs, views } : undefined
}
