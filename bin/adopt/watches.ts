import type { Table } from './catalog.ts'
import { bare, type Expression, type Uses } from './expression.ts'
import type { Part, Ref } from './find-posts.ts'
import { quoted } from './links.ts'
import type { Watch } from './proposal.ts'

/** What makes a post appear in lists, or disappear. */
interface Conditions {
  live: readonly Expression[]
  date: Expression
}

/**
 * The watch of a table that posts are made of. A condition over several tables is left out: then more changes are
 * announced than are seen.
 */
export function watchOf(part: Part, uses: Uses, hard: readonly Ref[], { live, date }: Conditions): Watch {
  const isOwn = ({ refs }: Expression) => refs.length > 0 && refs.every(({ table }) => table === part.table)
  const own = hard.filter(({ table }) => table === part.table).map(({ column }) => column.name)
  const columns = uses.of(part.table.id)
  const conditions = live.filter(isOwn).map((each) => each.write(bare))
  const liveFrom = isOwn(date) ? date.write(bare) : undefined
  // The rows of a part with neither slug nor state follow those of another part.
  const isHard = own.length > 0 || conditions.length > 0 || liveFrom !== undefined
  return {
    table: quoted(part.table),
    hard: isHard ? [...new Set(own)] : undefined,
    live: conditions.join(' and ') || undefined,
    liveFrom,
    columns,
  }
}

/** One watch for each table: a second call of `popular_posts_watch` replaces the first one. */
export function mergeWatches(watches: readonly Watch[]): Watch[] {
  const merged = new Map<string, Watch>()
  for (const watch of watches) {
    const before = merged.get(watch.table)
    merged.set(watch.table, before === undefined ? watch : both(before, watch))
  }
  return [...merged.values()]
}

const QUALIFIED_NAME = /(?:\w+|"(?:[^"]|"")+")\.(?:\w+|"(?:[^"]|"")+")/g

/** Watches of the other tables that queries name, such as a table of types, or one in an expression of the user. */
export function watchesOfOthers(
  queries: readonly string[],
  tables: readonly Table[],
  watches: readonly Watch[],
): Watch[] {
  const named = new Set(queries.flatMap((query) => Array.from(query.matchAll(QUALIFIED_NAME), ([name]) => name)))
  for (const { table } of watches) named.delete(table)
  return tables.map((table) => ({ table: quoted(table) })).filter(({ table }) => named.has(table))
}

function both(first: Watch, second: Watch): Watch {
  return {
    table: first.table,
    hard: first.hard ?? second.hard,
    live: first.live === second.live ? first.live : undefined,
    liveFrom: first.liveFrom === second.liveFrom ? first.liveFrom : undefined,
    columns:
      first.columns === undefined || second.columns === undefined
        ? undefined
        : [...new Set([...first.columns, ...second.columns])],
  }
}
