import { UNTRUSTED_ROLES } from '../safe-path.ts'
import { inLiteral, SAFE_PATH } from './safe-sql.ts'

/**
 * Writes the body of the trigger function of a table.
 *
 * The host's own expressions are parsed once, here, and written as PostgreSQL understands them: with every name qualified
 * that is not PostgreSQL's, and every operand in the type that is wanted. So what they mean does not depend on a
 * search_path, nor on what other roles make later. A policy of an empty table is what PostgreSQL gives such a text of
 * (\`pg_get_expr\`), since it may be any condition on one row.
 */
export const writeWatcherFunction = (schema: string) => `
function ${schema}.popular_posts_write_watcher(
  watcher text, watched regclass, change text, live text, live_from text, hard_row text, soft_row text,
  -- Schemas in which names of the expressions are looked up, after pg_catalog.
  schemas name[]
) returns text language plpgsql ${SAFE_PATH} as $write$
declare
  since text := coalesce('((' || live_from || E'\\n)::timestamptz)', $$'-infinity'::timestamptz$$);
  is_live text := format(E'(%s\\n) and %s <= statement_timestamp()', live, since);
  is_live_later text := format(E'(%s\\n) and %s > statement_timestamp() and %2$s < ''infinity''', live, since);
  -- Roles that may act against this one.
  strangers constant oid[] := array(${UNTRUSTED_ROLES});
  open_schemas constant text[] := array(
    select quote_ident(schema) from unnest(schemas) as schema
    where exists (select from unnest(strangers) as stranger where has_schema_privilege(stranger, schema, 'create'))
  );
  safe_schemas constant text[] := array(
    select quote_ident(schema) from unnest(schemas) with ordinality as listed (schema, place)
    where quote_ident(schema) <> all (open_schemas) order by place
  );
  found_name text;
begin
  execute format('create temporary table popular_posts_row (like %s)', watched);
  perform set_config('search_path', array_to_string('pg_catalog'::text || safe_schemas || 'pg_temp'::text, ', '), true);
  begin
    execute format(E'create policy is_live on pg_temp.popular_posts_row using (%s)', is_live);
    execute format(E'create policy is_live_later on pg_temp.popular_posts_row using (%s)', is_live_later);
    execute format(E'create policy since on pg_temp.popular_posts_row using (%s is null)', since);
  exception when undefined_function or undefined_table or undefined_object then
    if open_schemas = '{}' then raise; end if;
    raise exception 'popular_posts_watch: %. Names are not looked up in %, where other roles may create: write them with their schema, or take that right away (revoke create on schema % from public)',
      sqlerrm, array_to_string(open_schemas, ', '), open_schemas[1] using errcode = sqlstate;
  end;
  perform set_config('search_path', 'pg_catalog, pg_temp', true);

  -- What is called by name belongs to a role that is trusted: an operator or a function of that name, with types that fit
  -- better, may be another role's.
  select pg_describe_object(refclassid, refobjid, 0) || ' of the role ' || quote_ident(pg_get_userbyid(owner)) into found_name
  from pg_policy join pg_depend on classid = 'pg_policy'::regclass and objid = pg_policy.oid, lateral (
    select proowner from pg_proc where refclassid = 'pg_proc'::regclass and oid = refobjid
    union all select oprowner from pg_operator where refclassid = 'pg_operator'::regclass and oid = refobjid
    union all select typowner from pg_type where refclassid = 'pg_type'::regclass and oid = refobjid
    union all select relowner from pg_class where refclassid = 'pg_class'::regclass and oid = refobjid and relkind = 'v'
  ) as named (owner)
  where polrelid = 'pg_temp.popular_posts_row'::regclass and owner = any (strangers) and not exists (
    select from pg_depend as part where part.classid = pg_depend.refclassid and part.objid = pg_depend.refobjid and part.deptype = 'e'
  );
  if found then
    raise exception 'popular_posts_watch: expected what belongs to % or to a superuser, got the %: with it, that role could act with the rights of %',
      current_user, found_name, current_user using errcode = 'insufficient_privilege';
  end if;
  -- Triggers cannot see virtual columns (PostgreSQL 18): the writer would get the error.
  select attname into found_name from pg_attribute
  where attrelid = watched and attgenerated = 'v' and attname in (
    select copy.attname from pg_policy join pg_depend on classid = 'pg_policy'::regclass and objid = pg_policy.oid
    join pg_attribute as copy on copy.attrelid = refobjid and copy.attnum = refobjsubid
    where polrelid = 'pg_temp.popular_posts_row'::regclass and refobjid = polrelid
  );
  if found then
    raise exception 'popular_posts_watch: expected columns that are stored, got %', found_name
      using errcode = 'feature_not_supported';
  end if;

  select pg_get_expr(polqual, polrelid) into strict is_live from pg_policy
    where polrelid = 'pg_temp.popular_posts_row'::regclass and polname = 'is_live';
  select pg_get_expr(polqual, polrelid) into strict is_live_later from pg_policy
    where polrelid = 'pg_temp.popular_posts_row'::regclass and polname = 'is_live_later';
  -- Of '(… IS NULL)', what is between.
  select substr(shown, 2, length(shown) - length('( IS NULL)')) into strict since
    from pg_policy, pg_get_expr(polqual, polrelid) as shown
    where polrelid = 'pg_temp.popular_posts_row'::regclass and polname = 'since';
  -- That all of it can be read without a search_path.
  execute format('select %s, %s, %s from pg_temp.popular_posts_row where %s or %s', hard_row, soft_row, since, is_live, is_live_later);
  drop table pg_temp.popular_posts_row;

  -- Of an update the rows are compared as bags, by sums of hashes of their text: it needs no key and no sorting, and takes
  -- any type of column. Whatever fails here, the writer's statement does not: but for what cancels that statement.
  return format($body$
#variable_conflict use_column
declare
  before record;
  after record;
begin
  if tg_op = 'TRUNCATE' then
    perform %8$s.popular_posts_announce(%2$L::text, now());
  elsif tg_op = 'INSERT' then
    if exists (select from new_rows as popular_posts_row where %3$s) then
      perform %8$s.popular_posts_announce(%2$L::text, now());
    end if;
    perform %8$s.popular_posts_announce(%2$L::text, since) from (
      select distinct %7$s as since from new_rows as popular_posts_row where %4$s
    ) as later;
  elsif tg_op = 'DELETE' then
    if exists (select from old_rows as popular_posts_row where %3$s) then
      perform %8$s.popular_posts_announce(%2$L::text, now());
    end if;
  else
    select count(*), sum(hashtextextended(%5$s, 0)) as hard, sum(hashtextextended(%6$s, 0)) as soft into before
      from old_rows as popular_posts_row where %3$s;
    select count(*), sum(hashtextextended(%5$s, 0)) as hard, sum(hashtextextended(%6$s, 0)) as soft into after
      from new_rows as popular_posts_row where %3$s;
    if (before.count, before.hard) is distinct from (after.count, after.hard) then
      perform %8$s.popular_posts_announce(%2$L::text, now());
    elsif before.soft is distinct from after.soft then
      perform %8$s.popular_posts_announce('soft'::text, now());
    end if;
    perform %8$s.popular_posts_announce(%2$L::text, since) from (
      select distinct since from (
        select %5$s, %7$s as since from new_rows as popular_posts_row where %4$s
        except all select %5$s, %7$s from old_rows as popular_posts_row where %4$s
      ) as changed
    ) as later;
  end if;
  return null;
exception when others or assert_failure then
  begin
    -- Messages of class 42 name columns and functions; others may hold what is in a row.
    perform %8$s.popular_posts_failed(%1$L::text, sqlstate, case when sqlstate like '42%%' then sqlerrm else '' end);
  exception when others then
    if current_setting('popular_posts.warned', true) is distinct from 'yes' then
      perform set_config('popular_posts.warned', 'yes', false);
      raise warning 'popular posts: a change of %% cannot be announced (%%)', tg_relid::regclass, sqlstate;
    end if;
  end;
  return null;
end
  $body$, watcher, change, is_live, is_live_later, hard_row, soft_row, since, '${inLiteral(schema)}');
end
$write$`

/**
 * `popular_posts_watch(…)`: makes a table announce its changes. It writes one trigger function for the table, which runs
 * with the rights of the role that called this.
 */
export const watchFunction = (schema: string) => `
function ${schema}.popular_posts_watch(
  watched regclass,
  -- Columns whose change in a live row is hard, as are rows that come and go. Null: everything is soft.
  hard_columns text[] default null,
  -- An SQL condition on a row: only live rows show in lists.
  live text default 'true',
  -- An SQL expression of a row: the timestamptz from which it is live.
  live_from text default null,
  -- The columns that show in lists. Null: all.
  columns text[] default null,
  -- Where names in both expressions are looked up: default, as the caller would find them.
  schemas name[] default current_schemas(false)
) returns void language plpgsql ${SAFE_PATH} as $watch$
declare
  ours constant text := '${inLiteral(schema)}';
  keys constant text[] := array(
    select attname::text from pg_index join pg_attribute on attrelid = indrelid and attnum = any(indkey)
    where indrelid = watched and indisprimary
  );
  hard_row text;
  soft_row text := 'popular_posts_row::text';
  name text;
  body text;
  trigger_function text;
begin
  if (select relkind from pg_class where oid = watched) not in ('r', 'p') then
    raise exception 'popular_posts_watch: expected a table, got % (of a view, watch the tables it is made of)', watched
      using errcode = 'wrong_object_type';
  end if;
  for name in select unnest(hard_columns || columns) except select attname from pg_attribute
    where attrelid = watched and attnum > 0 and not attisdropped
  loop
    raise exception 'popular_posts_watch: expected columns of %, got %', watched, name using errcode = 'undefined_column';
  end loop;
  for name in select attname from pg_attribute
    where attrelid = watched and attgenerated = 'v' and attname = any (hard_columns || columns)
  loop
    raise exception 'popular_posts_watch: expected columns that are stored, got %', name
      using errcode = 'feature_not_supported';
  end loop;
  if not has_function_privilege('${inLiteral(schema)}.popular_posts_announce(text, timestamptz)', 'execute')
    or not has_function_privilege('${inLiteral(schema)}.popular_posts_failed(text, text, text)', 'execute')
  then
    raise exception 'popular_posts_watch: % may not announce changes: grant execute on function %.popular_posts_announce, %.popular_posts_failed to %',
      current_user, ours, ours, quote_ident(current_user) using errcode = 'insufficient_privilege';
  end if;

  if columns is not null then
    soft_row := (select format('row(%s)::text', string_agg(quote_ident(c), ', ' order by c))
      from (select distinct unnest(keys || hard_columns || columns)) as shown (c));
  end if;
  hard_row := case when hard_columns is null then soft_row else
    (select format('row(%s)::text', string_agg(quote_ident(c), ', ' order by c))
      from (select distinct unnest(keys || hard_columns)) as shown (c))
  end;
  -- At most 63 bytes, whatever the table is called, and another one each time.
  name := (select format('popular_posts_watch_%s_%s', left(regexp_replace(relname, '[^a-z0-9_]', '', 'g'), 30),
    left(gen_random_uuid()::text, 8)) from pg_class where oid = watched);
  body := ${schema}.popular_posts_write_watcher(name, watched, case when hard_columns is null then 'soft' else 'hard' end,
    live, live_from, hard_row, soft_row, schemas);

  perform ${schema}.popular_posts_unwatch(watched);
  trigger_function := format('%s.%I()', ours, name);
  execute format('create function %s returns trigger language plpgsql security definer ${SAFE_PATH} as %L', trigger_function, body);
  execute format('revoke execute on function %s from public', trigger_function);
  execute format('create trigger popular_posts_insert after insert on %s
    referencing new table as new_rows for each statement execute function %s', watched, trigger_function);
  execute format('create trigger popular_posts_update after update on %s
    referencing old table as old_rows new table as new_rows for each statement execute function %s', watched, trigger_function);
  execute format('create trigger popular_posts_delete after delete on %s
    referencing old table as old_rows for each statement execute function %s', watched, trigger_function);
  execute format('create trigger popular_posts_truncate after truncate on %s
    for each statement execute function %s', watched, trigger_function);
end
$watch$`
