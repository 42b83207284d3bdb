import { sql } from 'kysely'
import type { BlogReader } from './schema.ts'
import { isLive, viewsOfHours } from './window.ts'

/**
 * The shortest of these windows in which a live post was viewed. It reads the newest view; only the last 24 hours are
 * summed.
 * @param windows days as in `WindowQuery`, the shortest first.
 * @returns `undefined`: no live post was ever viewed.
 */
export async function shortestWindow<Days extends number>(
  db: BlogReader,
  { windows, timeZone }: { windows: readonly Days[]; timeZone: string },
): Promise<Days | undefined> {
  const today = sql`(statement_timestamp() at time zone ${timeZone})::date`
  const live = sql`from ${sql.table('posts')} where posts.id = counter.post_id and ${isLive({})}`
  const lastDay = viewsOfHours({}).as('counter')
  const rows = await db
    .selectNoFrom([
      sql<boolean>`exists (select from ${lastDay} where exists (select ${live}))`.as('hours'),
      sql<number | null>`(
        select ${today} - day from ${sql.table('post_views_daily')} counter
        where day <= ${today} and day > '-infinity' and views > 0 and exists (select ${live}) order by day desc limit 1
      )`.as('age'),
      sql<boolean>`exists (select from ${sql.table('post_views_total')} counter where views > 0 and exists (select ${live}))`.as(
        'total',
      ),
    ])
    .execute()
  return rows.flatMap(({ hours, age, total }) =>
    windows.filter((days) => (days === 0 ? total : days === 1 ? hours : age !== null && age <= days)),
  )[0]
}
