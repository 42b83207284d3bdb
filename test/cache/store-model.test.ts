import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import t from 'tap'
import { createMemoryStore } from '../../cache/memory-store.ts'
import { createRedisStore } from '../../cache/redis-store.ts'
import type { Lease, Store } from '../../cache/store.ts'
import { redisUrl } from '../helpers/redis.ts'
import { createNames, createVirtualClock } from '../helpers/virtual-clock.ts'
import { virtualScripts, withPrefix } from '../helpers/virtual-redis.ts'

/** One step on both stores. `lease` is an index into all granted leases, from the latest (0). */
type Command =
  | { do: 'acquire'; key: string; leaseMs: number; force: boolean }
  | {
      do: 'commit'
      lease: number
      text: string
      ttlMs: number
      keepForMs: number
      unreadForMs?: number
      loadedInMs?: number
    }
  | { do: 'renew'; lease: number; leaseMs: number }
  | { do: 'fail'; lease: number; firstMs: number; maxMs: number }
  | { do: 'release'; lease: number }
  | { do: 'invalidate'; mode: 'hard' | 'soft'; cause: string | undefined }
  | { do: 'change'; mode: 'hard' | 'soft'; cause: string | undefined; isRepeated: boolean }
  | { do: 'invalidate key'; key: string }
  | { do: 'advance'; ms: number }

const key = fc.constantFrom('a', 'a', 'b', 'c')
const lease = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(4))
const leaseMs = fc.constantFrom(100, 300)
const invalidateMode = fc.constantFrom<('hard' | 'soft')[]>('hard', 'soft')
// The times of leases, cool-downs and lifetimes, and one millisecond before and after.
const cause = fc.constantFrom(undefined, 'x', 'x', 'y')
const edges = [
  1, 99, 100, 101, 199, 200, 201, 299, 300, 301, 349, 350, 351, 699, 700, 701, 999, 1000, 1001, 5000, 59_999, 60_000,
]
const ms = fc.oneof(fc.constantFrom(...edges), fc.nat(1500))
const times = fc.constantFrom(
  { ttlMs: 1000, keepForMs: 5000 },
  { ttlMs: 100, keepForMs: 100 },
  { ttlMs: 0, keepForMs: 300 },
  { ttlMs: 1000, keepForMs: 5000, unreadForMs: 200 },
  { ttlMs: 200, keepForMs: 1000, unreadForMs: 350 },
  { ttlMs: 1000, keepForMs: 5000, loadedInMs: 280 },
  { ttlMs: 1000, keepForMs: 5000, loadedInMs: 551 },
)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('acquire' as const), key, leaseMs, force: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(lease, fc.string({ maxLength: 3 }), times)
      .map(([lease, text, times]) => ({ do: 'commit' as const, lease, text, ...times })),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), lease, leaseMs }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      lease,
      firstMs: fc.constantFrom(100, 150),
      maxMs: fc.constant(350),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), lease }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('invalidate' as const), mode: invalidateMode, cause }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('change' as const), mode: invalidateMode, cause, isRepeated: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('invalidate key' as const), key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms }) },
)

/** A store, the leases that it granted, and its generations, numbered in order of appearance. */
function createSide(store: Store, advance: (ms: number) => Promise<unknown>) {
  const leases: { key: string; lease: Lease }[] = []
  const generations: string[] = []
  const token = createNames()
  let after: number | undefined

  const numberOf = (generation: string | undefined) => {
    const name = String(generation)
    if (!generations.includes(name)) generations.push(name)
    return generations.indexOf(name)
  }
  /** The reply as plain data: bytes as text, generations as numbers. */
  function plain(reply: unknown): unknown {
    if (reply instanceof Uint8Array) return Buffer.from(reply).toString()
    if (typeof reply !== 'object' || reply === null) return reply
    const fields = Object.entries(reply)
    return Object.fromEntries(
      fields.map(([name, value]) => [name, name === 'generation' || name === 'epoch' ? numberOf(value) : plain(value)]),
    )
  }

  async function run(command: Command): Promise<unknown> {
    if (command.do === 'advance') return void (await advance(command.ms))
    if (command.do === 'invalidate key') return store.invalidateKey(command.key)
    if (command.do === 'invalidate') {
      const isEnded = await store.invalidate(command.mode, command.cause)
      return { state: isEnded, generation: await store.generation() }
    }
    if (command.do === 'change') {
      const { mode, cause, isRepeated } = command
      const applied = await store.invalidateForChange(mode, { cause, after: isRepeated ? after : undefined })
      after = applied.ends
      return { ...applied, generation: await store.generation() }
    }
    if (command.do === 'acquire') {
      const { key, leaseMs, force } = command
      const acquired = await store.acquire(key, { token: token(), leaseMs, force })
      if (acquired.state === 'lease') leases.unshift({ key, lease: acquired.lease })
      return acquired
    }
    const chosen = leases[command.lease]
    if (chosen === undefined) return 'no such lease'
    if (command.do === 'commit') return store.commit(chosen.key, chosen.lease, Buffer.from(command.text), command)
    if (command.do === 'renew') return store.renew(chosen.key, chosen.lease, command.leaseMs)
    if (command.do === 'release') return store.release(chosen.key, chosen.lease)
    return store.fail(chosen.key, chosen.lease, command)
  }
  return async (command: Command) => plain(await run(command))
}

/** A short name of a reply, to count which replies the sequences reach. */
function kindOf(reply: unknown): string {
  if (typeof reply !== 'object' || reply === null) return String(reply)
  return 'state' in reply ? String(reply.state) : ''
}

t.test('1,000 random sequences of commands: both stores give the same replies', async (t) => {
  const client = new Redis(await redisUrl())
  t.teardown(() => client.disconnect())
  const seed = process.env['SEED']
  const kinds = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25, size: 'max' }), async (commands) => {
      const clock = createVirtualClock()
      const memory = createSide(createMemoryStore({ clock, nonce: createNames() }), clock.advance)
      const prefix = `test:${randomUUID()}`
      const onRedis = createRedisStore({ client, prefix, nonce: randomUUID, scripts: virtualScripts })
      const redis = createSide(withPrefix(onRedis, prefix), (ms) => client.incrby(`{${prefix}}:now`, ms))
      // Redis has no generation before the first command.
      for (const next of [{ do: 'invalidate', mode: 'hard', cause: undefined } as const, ...commands]) {
        const [expected, actual] = await Promise.all([memory(next), redis(next)])
        assert.deepStrictEqual(actual, expected)
        const kind = `${next.do} ${kindOf(expected)}`
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      }
    }),
    { numRuns: Number(process.env['SEQUENCES'] ?? 1000), ...(seed === undefined ? {} : { seed: Number(seed) }) },
  )
  const reached = [...kinds.keys()].sort().join(', ')
  for (const kind of ['acquire hit', 'acquire wait', 'acquire cooling', 'acquire lease']) t.match(reached, kind)
  for (const answer of ['stored', 'lost', 'outdated', 'outdated-hard']) t.match(reached, `commit ${answer}`)
  for (const answer of ['ended', 'known', 'paced']) t.match(reached, `change ${answer}`)
  for (const answer of ['true', 'false']) t.match(reached, `invalidate ${answer}`)
  t.match(reached, 'renew true')
  t.match(reached, 'renew false')
})
