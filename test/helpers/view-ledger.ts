import { Redis } from 'ioredis'
import type { Pool } from 'pg'
import { until } from './services/until.ts'

/** Views by what they are of: `total <post>`, `day <day> <post>`, `hour <hour> <post>`. */
export type Counts = Map<string, number>

const KINDS = ['total', 'day', 'hour']
const HOUR_MS = 3_600_000

/**
 * Every view that a Redis takes into a buffer of views, as MONITOR tells it: the servers are not asked. Days are of
 * UTC.
 */
export async function watchTakenViews(url: string) {
  const client = new Redis(url)
  const monitor = await client.monitor()
  const taken: Counts = new Map()
  let views = 0
  let heard = ''
  const inHands = new Set<string>()
  const add = (key: string) => taken.set(key, (taken.get(key) ?? 0) + 1)

  /** Who reads a batch drops it in the end, unless something happens. */
  function follow(client: string, [_script, count, ...keys]: string[]): void {
    const batch = /:views:batch:.*/.exec(keys[Number(count) - 1] ?? '')?.[0]
    if (batch === undefined) return
    if (count === '1') inHands.add(client + batch)
    else inHands.delete(client + batch)
  }

  monitor.on('monitor', (_time: string, [command = '', ...args]: string[], client: string) => {
    if (command.toUpperCase() === 'EVALSHA') follow(client, args)
    if (command.toUpperCase() === 'ECHO') heard = args[0] ?? ''
    if (command.toUpperCase() !== 'HINCRBY') return
    const [bucketStartMs, post] = args[1]?.split(' ') ?? []
    views += 1
    for (const key of keysOf(String(post), Number(bucketStartMs))) add(key)
  })

  /** How many visitors Redis remembers: one for each view it took, while none is forgotten. */
  async function countVisitors(): Promise<number> {
    let keys = 0
    for await (const some of client.scanStream({ match: '*:views:seen:*', count: 1000 })) keys += some.length
    return keys
  }

  return {
    views: () => views,
    /** How many flushes have read a batch and not dropped it. */
    unfinished: () => inHands.size,
    /** Sentences about what is not as it must be: none when each view that was taken has been counted once. */
    async compare(counted: Counts): Promise<string[]> {
      const word = `all ${views}`
      await client.echo(word)
      await until(() => heard === word, 'all commands have been seen')
      const visitors = await countVisitors()
      const wrong = visitors === views ? [] : [`${views} views taken, and ${visitors} visitors remembered`]
      for (const key of [...new Set([...taken.keys(), ...counted.keys()])].sort()) {
        const [isTaken, isCounted] = [taken.get(key) ?? 0, counted.get(key) ?? 0]
        if (isTaken !== isCounted) wrong.push(`${key}: ${isTaken} taken, ${isCounted} counted`)
      }
      return wrong
    },
    /** What has not been counted in the database yet, or only not been dropped: 0 and 0 when all is done. */
    async waiting(prefix: string): Promise<{ buffers: number; batches: number }> {
      const [buffer, batches] = [`{${prefix}}:views:buffer`, `{${prefix}}:views:batches`]
      return { buffers: await client.exists(buffer), batches: await client.scard(batches) }
    },
    /** Cuts the connections that run scripts, each with this probability. */
    async cut(isCut: () => boolean): Promise<void> {
      const clients = String(await client.client('LIST')).split('\n')
      for (const line of clients) {
        const [, id] = /^id=(\d+) .* cmd=eval/.exec(line) ?? []
        if (id !== undefined && isCut()) await client.client('KILL', 'ID', id)
      }
    },
    close(): void {
      monitor.disconnect()
      client.disconnect()
    },
  }
}

/** What the views of a post in a quarter of an hour are of. */
export function keysOf(post: string, bucketStartMs: number): string[] {
  const hour = new Date(Math.floor(bucketStartMs / HOUR_MS) * HOUR_MS).toISOString()
  return [`total ${post}`, `day ${hour.slice(0, 10)} ${post}`, `hour ${hour.slice(0, 13)} ${post}`]
}

/** What the database has counted. */
export async function readCountedViews(pool: Pool): Promise<Counts> {
  const { rows } = await pool.query<{ key: string; views: string }>(`
    select 'total ' || post_id as key, views from post_views_total
    union all select 'day ' || day || ' ' || post_id, views from post_views_daily
    union all select to_char(hour at time zone 'UTC', '"hour" YYYY-MM-DD"T"HH24 ') || post_id, views
    from post_views_hourly`)
  return new Map(rows.map(({ key, views }) => [key, Number(views)]))
}

/** All views of each kind, for people. */
export function describe(counts: Counts): string {
  return KINDS.map((kind) => `${sumOf(counts, kind)} (${kind})`).join(', ')
}

function sumOf(counts: Counts, kind: string): number {
  return [...counts].reduce((all, [key, views]) => (key.startsWith(`${kind} `) ? all + views : all), 0)
}
