import { randomBytes } from 'node:crypto'
import type { Pool } from 'pg'

/** The types of the arguments in our functions, and the types that PostgreSQL converts them from and to. */
const TYPES = ['text', 'varchar', 'name', '"char"', 'integer', 'bigint', 'numeric', 'boolean', 'oid', 'regclass']
const TIMES = ['timestamptz', 'timestamp', 'date']
const LISTS = ['text[]', 'name[]', 'oid[]', '"char"[]']

/** All sequences of `length` types. */
const rowsOf = (length: number, types: readonly string[]): string[][] =>
  length === 0 ? [[]] : rowsOf(length - 1, types).flatMap((row) => types.map((type) => [...row, type]))

/**
 * Creates a role with the rights that every role has in PostgreSQL 13 and 14: it may create objects in the schema
 * `public`. There it has look-alikes of each function and operator that our functions use, with other argument types.
 * A look-alike records that it was called.
 */
export async function createHostileRole(pool: Pool) {
  const name = `mallory_${randomBytes(6).toString('hex')}`
  await pool.query(`create role ${name}; grant usage, create on schema public to public`)
  const { rows } = await pool.query<{ text: string }>(
    `select string_agg(prosrc, ' ') as text from pg_proc where proname like 'popular\\_posts\\_%'`,
  )
  const text = rows[0]?.text ?? ''
  const called = [...new Set([...text.matchAll(/\b([a-z_]+)\(/g)].map(([, word]) => word))]
  const { rows: functions } = await pool.query<{ name: string; counts: number[] }>(
    `select proname as name, array_agg(distinct pronargs::int) as counts from pg_proc
    where proname = any($1) and pronamespace = 'pg_catalog'::regnamespace group by proname`,
    [[...called, 'now', 'statement_timestamp', 'clock_timestamp', 'date_trunc', 'to_char']],
  )
  const statements = ['create sequence public.caught', 'grant all on public.caught to public']
  const note = (result: string) =>
    `returns ${result} language plpgsql as $$ begin perform nextval('public.caught'); return null; end $$`
  const add = (fn: string, args: readonly string[]) =>
    statements.push(`create function public.${fn}(${args.join(', ')}) ${note('text')}`)
  for (const { name: fn, counts } of functions) {
    for (const args of rowsOf(1, [...TYPES, ...TIMES, ...LISTS])) add(fn, args)
    for (const args of rowsOf(2, [...TYPES, 'timestamptz'])) add(fn, args)
    if (Math.max(...counts) > 2)
      for (const args of rowsOf(3, ['text', 'name', 'integer', 'oid', 'boolean'])) add(fn, args)
  }
  const variants = { announce: 2, failed: 3, unwatch: 1 }
  for (const [fn, count] of Object.entries(variants))
    for (let length = 1; length <= count; length += 1)
      for (const args of rowsOf(length, ['text', 'name', 'varchar', 'timestamptz', 'oid']))
        if (!['text,timestamptz', 'text,text,text', 'regclass'].includes(String(args))) add(`popular_posts_${fn}`, args)
  const operands = [
    ...rowsOf(2, [...TYPES, 'timestamptz', 'timestamp']),
    ...rowsOf(2, ['text', 'name', 'text[]', 'name[]']),
  ]
  const pairs = [...new Map(operands.map((pair) => [String(pair), pair])).values()]
  for (const [left = '', right = ''] of pairs) {
    statements.push(`create function public.is_it(${left}, ${right}) ${note('boolean')}`)
    statements.push(`create function public.what_is_it(${left}, ${right}) ${note(left)}`)
    for (const [operator, fn] of [
      ...['=', '<>', '<', '<=', '>', '>=', '~~'].map((symbol) => [symbol, 'is_it']),
      ...['||', '-', '+'].map((symbol) => [symbol, 'what_is_it']),
    ])
      statements.push(
        `create operator public.${operator} (leftarg = ${left}, rightarg = ${right}, function = public.${fn})`,
      )
  }
  const client = await pool.connect()
  await client.query(`begin; set local role ${name}`)
  await client.query(statements.join(';\n'))
  await client.query('commit')
  client.release()
  return {
    name,
    lookAlikes: statements.length - 2,
    /** Whether a look-alike was called since the last check, also in a transaction that was rolled back. */
    async wasCalled(): Promise<boolean> {
      const { rows } = await pool.query<{ is_called: boolean }>('select is_called from public.caught')
      await pool.query(`select pg_catalog.setval('public.caught'::pg_catalog.regclass, 1::bigint, false)`)
      return rows[0]?.is_called === true
    },
    drop: () => pool.query(`drop owned by ${name} cascade; drop role ${name}`),
  }
}
