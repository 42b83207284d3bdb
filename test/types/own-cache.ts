// Compiled by test/types.test.ts: what `getOrSet` returns.
import type { JsonCache } from '../../index.ts'

interface Tag {
  name: string
  usedAt: Date
  count?: number
}

export async function use(cache: JsonCache, load: () => Promise<Tag[]>, unknown: unknown): Promise<unknown> {
  const options = { ttlSeconds: 60 }
  const tags = await cache.getOrSet('tags', load, options)
  const name: string | undefined = tags[0]?.name
  const usedAt: string | undefined = tags[0]?.usedAt
  const count: number | undefined = tags[0]?.count
  // @ts-expect-error -- a date comes back as a string
  const date: Date | undefined = tags[0]?.usedAt
  const found: Tag['name'] | undefined = await cache.getOrSet(
    'a',
    async (): Promise<string | undefined> => undefined,
    options,
  )
  const pair: [number, string] = await cache.getOrSet('pair', (): [number, Date] => [1, new Date()], options)
  const typed: { name: string; usedAt: string; count?: number }[] = await cache.getOrSet<Tag[]>('tags', load, options)
  const any: unknown = await cache.getOrSet('any', () => unknown, options)
  // @ts-expect-error -- how long the value lives is required
  await cache.getOrSet('tags', load)
  // @ts-expect-error -- an option of another cache
  await cache.getOrSet('tags', load, { ttl: 60 })
  return [name, usedAt, count, date, found, pair, typed, any]
}
