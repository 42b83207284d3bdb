import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/**
 * What happened to the blog, told by whoever commits it: one row for each transaction and kind of change, and a
 * notification. Rows are only ever added: a counter to be raised would make writers wait for each other, and deadlock.
 */
export const signals: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`
      create table popular_posts_change (
        xid xid8 not null default pg_current_xact_id(),
        change text not null check (change in ('hard', 'soft')),
        changed_at timestamptz not null default now(),
        primary key (xid, change, changed_at)
      )`.execute(db)
    await sql`create index popular_posts_change_changed_at_idx on popular_posts_change (changed_at)`.execute(db)
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()) as schema`.execute(db)
    for (const { schema } of rows) {
      for (const statement of [announce(schema), watch(schema), unwatch(schema)]) await sql.raw(statement).execute(db)
    }
  },
  async down(db: Kysely<unknown>) {
    await sql`
      select popular_posts_unwatch(tgrelid) from (
        select distinct tgrelid::regclass as tgrelid from pg_trigger join pg_proc on pg_proc.oid = tgfoid
        where proname like 'popular\\_posts\\_watch\\_%' and pronamespace = current_schema()::regnamespace
      ) as watched`.execute(db)
    await sql`drop function popular_posts_unwatch, popular_posts_watch, popular_posts_announce`.execute(db)
    await db.schema.dropTable('popular_posts_change').execute()
  },
}

/**
 * `popular_posts_announce(change, effective_at)`: says that lists change, now or (a scheduled post) at a later moment.
 * It runs with the rights of its owner, so that whoever writes needs none here; it is not for the public.
 */
const announce = (schema: string) => `
create function popular_posts_announce(change text, effective_at timestamptz default now()) returns void
language plpgsql security definer set search_path = ${schema}, pg_temp as $function$
declare
  since constant timestamptz := greatest(effective_at, now());
begin
  insert into popular_posts_change (change, changed_at) values (change, since) on conflict do nothing;
  if not found then return; end if;
  perform pg_notify('popular_posts', case
    when since <= clock_timestamp() then concat_ws(' ', change, pg_current_xact_id(), extract(epoch from since))
    else 'later'
  end);
end
$function$;
revoke execute on function popular_posts_announce from public`

/**
 * `popular_posts_watch(…)`: makes a table announce its changes. It writes one trigger function for the table, which runs
 * with the rights, and resolves names by the search_path, of whoever called this.
 */
const watch = (schema: string) => `
create function popular_posts_watch(
  watched regclass,
  -- Columns whose change in a live row is hard, as are rows that come and go. Null: everything is soft.
  hard_columns text[] default null,
  -- An SQL condition on a row: only live rows show in lists.
  live text default 'true',
  -- An SQL expression of a row: the timestamptz from which it is live.
  live_from text default null,
  -- The columns that show in lists. Null: all.
  columns text[] default null
) returns void language plpgsql as $watch$
declare
  kind constant "char" := (select relkind from pg_class where oid = watched);
  since constant text := coalesce('(' || live_from || E'\\n)::timestamptz', $$'-infinity'::timestamptz$$);
  is_live constant text := format(E'(%s\\n) and %s <= statement_timestamp()', live, since);
  is_live_later constant text := format(E'(%s\\n) and %s > statement_timestamp() and %2$s < ''infinity''', live, since);
  keys constant text[] := array(
    select attname::text from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
    where indrelid = watched and indisprimary
  );
  hard_row text;
  soft_row text := 'popular_posts_row::text';
  name text;
  body text;
begin
  if kind not in ('r', 'p') then
    raise exception 'popular_posts_watch: expected a table, got % (of a view, watch the tables it is made of)', watched
      using errcode = 'wrong_object_type';
  end if;
  for name in select unnest(hard_columns || columns) except select attname from pg_attribute
    where attrelid = watched and attnum > 0 and not attisdropped
  loop
    raise exception 'popular_posts_watch: expected columns of %, got %', watched, name using errcode = 'undefined_column';
  end loop;
  -- Triggers cannot see virtual columns (PostgreSQL 18): the writer would get the error.
  execute format('create temporary view popular_posts_probe as select row(%s)::text as shown from %s as popular_posts_row where %s',
    array_to_string(array(select quote_ident(c) from unnest(hard_columns || columns) as c), ', '), watched, is_live);
  select attname into name from pg_rewrite join pg_depend on classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
    join pg_attribute on attrelid = refobjid and attnum = refobjsubid
    where ev_class = 'pg_temp.popular_posts_probe'::regclass and refobjid = watched and attgenerated = 'v';
  if found then
    raise exception 'popular_posts_watch: expected columns that are stored, got %', name using errcode = 'feature_not_supported';
  end if;
  drop view pg_temp.popular_posts_probe;

  if columns is not null then
    soft_row := (select format('row(%s)::text', string_agg(quote_ident(c), ', ' order by c))
      from (select distinct unnest(keys || hard_columns || columns)) as shown (c));
  end if;
  hard_row := case when hard_columns is null then soft_row else
    (select format('row(%s)::text', string_agg(quote_ident(c), ', ' order by c))
      from (select distinct unnest(keys || hard_columns)) as shown (c))
  end;
  -- Of an update the rows are compared as bags, by sums of hashes of their text: it needs no key and no sorting, and takes
  -- any type of column.
  body := format($body$
#variable_conflict use_column
declare
  before record;
  after record;
begin
  if tg_op = 'TRUNCATE' then
    perform %1$s(%2$L);
  elsif tg_op = 'INSERT' then
    if exists (select from new_rows as popular_posts_row where %3$s) then
      perform %1$s(%2$L);
    end if;
    perform %1$s(%2$L, since) from (
      select distinct %7$s as since from new_rows as popular_posts_row where %4$s
    ) as later;
  elsif tg_op = 'DELETE' then
    if exists (select from old_rows as popular_posts_row where %3$s) then
      perform %1$s(%2$L);
    end if;
  else
    select count(*), sum(hashtextextended(%5$s, 0)) as hard, sum(hashtextextended(%6$s, 0)) as soft into before
      from old_rows as popular_posts_row where %3$s;
    select count(*), sum(hashtextextended(%5$s, 0)) as hard, sum(hashtextextended(%6$s, 0)) as soft into after
      from new_rows as popular_posts_row where %3$s;
    if (before.count, before.hard) is distinct from (after.count, after.hard) then
      perform %1$s(%2$L);
    elsif before.soft is distinct from after.soft then
      perform %1$s('soft');
    end if;
    perform %1$s(%2$L, since) from (
      select distinct since from (
        select %5$s, %7$s as since from new_rows as popular_posts_row where %4$s
        except all select %5$s, %7$s from old_rows as popular_posts_row where %4$s
      ) as changed
    ) as later;
  end if;
  return null;
end
  $body$, '${schema}.popular_posts_announce', case when hard_columns is null then 'soft' else 'hard' end,
    is_live, is_live_later, hard_row, soft_row, since);

  perform ${schema}.popular_posts_unwatch(watched);
  name := format('${schema}.%I', (select format('popular_posts_watch_%s_%s', left(relname, 30),
    left(md5(format('%s.%s', relnamespace::regnamespace, relname)), 6)) from pg_class where oid = watched));
  execute format('create function %s() returns trigger language plpgsql security definer set search_path = %s as %L',
    name, array_to_string(array(select quote_ident(s) from unnest(current_schemas(false)) as s) || 'pg_temp'::text, ', '), body);
  execute format('revoke execute on function %s from public', name);
  execute format('create trigger popular_posts_insert after insert on %s
    referencing new table as new_rows for each statement execute function %s()', watched, name);
  execute format('create trigger popular_posts_update after update on %s
    referencing old table as old_rows new table as new_rows for each statement execute function %s()', watched, name);
  execute format('create trigger popular_posts_delete after delete on %s
    referencing old table as old_rows for each statement execute function %s()', watched, name);
  execute format('create trigger popular_posts_truncate after truncate on %s
    for each statement execute function %s()', watched, name);
end
$watch$`

/** `popular_posts_unwatch(table)`: takes back what \`popular_posts_watch\` has made. */
const unwatch = (schema: string) => `
create function popular_posts_unwatch(watched regclass) returns void language plpgsql as $unwatch$
declare
  made record;
begin
  for made in
    select array_agg(tgname) as triggers, tgfoid::regprocedure as trigger_function
    from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where tgrelid = watched and proname like 'popular\\_posts\\_watch\\_%'
      and pronamespace = '${schema}'::regnamespace
    group by tgfoid
  loop
    for i in 1 .. cardinality(made.triggers) loop
      execute format('drop trigger %I on %s', made.triggers[i], watched);
    end loop;
    execute format('drop function %s', made.trigger_function);
  end loop;
end
$unwatch$`
