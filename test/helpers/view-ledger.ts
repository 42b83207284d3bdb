import { Redis } from 'ioredis'
import type { Pool } from 'pg'
import { until } from './services/until.ts'

/** Views by key: `total <post>`, `day <day> <post>`, `hour <hour> <post>`. */
export type Counts = Map<string, number>

const KINDS = ['total', 'day', 'hour']
const HOUR_MS = 3_600_000

/** Counts every view that Redis accepts into a view buffer, by MONITOR, without the servers. Days are UTC. */
export async function watchAcceptedViews(url: string) {
  const client = new Redis(url)
  const monitor = await client.monitor()
  const accepted: Counts = new Map()
  let views = 0
  let lastEcho = ''
  const pendingBatches = new Set<string>()
  const add = (key: string) => accepted.set(key, (accepted.get(key) ?? 0) + 1)

  /** A flusher that reads a batch drops it at the end, except after a fault. */
  function follow(client: string, [_script, count, ...keys]: string[]): void {
    const batch = /:views:batch:.*/.exec(keys[Number(count) - 1] ?? '')?.[0]
    if (batch === undefined) return
    if (count === '1') pendingBatches.add(client + batch)
    else pendingBatches.delete(client + batch)
  }

  monitor.on('monitor', (_time: string, [command = '', ...args]: string[], client: string) => {
    if (command.toUpperCase() === 'EVALSHA') follow(client, args)
    if (command.toUpperCase() === 'ECHO') lastEcho = args[0] ?? ''
    if (command.toUpperCase() !== 'HINCRBY' || !args[0]?.endsWith(':views:buffer')) return
    const [bucketStartMs, post] = args[1]?.split(' ') ?? []
    views += 1
    for (const key of keysOf(String(post), Number(bucketStartMs))) add(key)
  })

  /** The number of visitors in Redis: one for each accepted view, until the first visitor expires. */
  async function countVisitors(): Promise<number> {
    let keys = 0
    for await (const some of client.scanStream({ match: '*:views:seen:*', count: 1000 })) keys += some.length
    return keys
  }

  return {
    views: () => views,
    /** The number of flushes that read a batch and have not dropped it. */
    unfinished: () => pendingBatches.size,
    /** Returns a sentence for each difference; none when each accepted view is counted once. */
    async compare(counted: Counts): Promise<string[]> {
      const word = `all ${views}`
      await client.echo(word)
      await until(() => lastEcho === word, 'MONITOR reports all commands')
      const visitors = await countVisitors()
      const wrong = visitors === views ? [] : [`${views} views accepted, but ${visitors} visitors in Redis`]
      for (const key of [...new Set([...accepted.keys(), ...counted.keys()])].sort()) {
        const [acceptedViews, countedViews] = [accepted.get(key) ?? 0, counted.get(key) ?? 0]
        if (acceptedViews !== countedViews) wrong.push(`${key}: ${acceptedViews} accepted, ${countedViews} counted`)
      }
      return wrong
    },
    /** The buffers and batches that are still in Redis: not counted yet, or counted but not dropped yet. */
    async waiting(prefix: string): Promise<{ buffers: number; batches: number }> {
      const [buffer, batches] = [`{${prefix}}:views:buffer`, `{${prefix}}:views:batches`]
      return { buffers: await client.exists(buffer), batches: await client.scard(batches) }
    },
    /** Cuts those connections that run scripts and for which `isCut` returns true. */
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

/** The keys of the counters for a post and a quarter of an hour. */
export function keysOf(post: string, bucketStartMs: number): string[] {
  const hour = new Date(Math.floor(bucketStartMs / HOUR_MS) * HOUR_MS).toISOString()
  return [`total ${post}`, `day ${hour.slice(0, 10)} ${post}`, `hour ${hour.slice(0, 13)} ${post}`]
}

/** Reads the counters of the database. */
export async function readCountedViews(pool: Pool): Promise<Counts> {
  const { rows } = await pool.query<{ key: string; views: string }>(`
    select 'total ' || post_id as key, views from post_views_total
    union all select 'day ' || day || ' ' || post_id, views from post_views_daily
    union all select to_char(hour at time zone 'UTC', '"hour" YYYY-MM-DD"T"HH24 ') || post_id, views
    from post_views_hourly`)
  return new Map(rows.map(({ key, views }) => [key, Number(views)]))
}

/** The sum of each kind of counter, as text. */
export function describe(counts: Counts): string {
  return KINDS.map((kind) => `${sumOf(counts, kind)} (${kind})`).join(', ')
}

function sumOf(counts: Counts, kind: string): number {
  return [...counts].reduce((all, [key, views]) => (key.startsWith(`${kind} `) ? all + views : all), 0)
}
