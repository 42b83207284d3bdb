-- popular_posts_watch(…): makes a table announce its changes. It creates one trigger function for the table, which runs
-- with the rights of the role that called popular_posts_watch. functions.ts inserts the schema, and explains the
-- search_path.
create function popular_posts_schema.popular_posts_watch(
  watched regclass,
  -- Columns whose change in a live row is hard; inserted and deleted live rows are hard, too. Null: all is soft.
  hard_columns text[] default null,
  -- An SQL condition on a row: only live rows appear in lists.
  live text default 'true',
  -- An SQL expression on a row: the timestamptz from which the row is live. Null: always.
  live_from text default null,
  -- The columns that appear in lists. Null: all.
  columns text[] default null,
  -- The schemas in which names of both expressions are resolved. Default: the search_path of the caller.
  schemas name[] default current_schemas(false)
) returns void language plpgsql set search_path = pg_catalog, pg_temp as $watch$
declare
  ours constant text := 'popular_posts_schema';
  -- Triggers of two schemas may be on one table.
  suffix constant text := left(gen_random_uuid()::text, 8);
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
  if not has_function_privilege('popular_posts_schema.popular_posts_announce(text, timestamptz)', 'execute')
    or not has_function_privilege('popular_posts_schema.popular_posts_failed(text, text, text)', 'execute')
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
  -- The name has at most 63 bytes, and is new in each call.
  name := (select format('popular_posts_watch_%s_%s', left(regexp_replace(relname, '[^a-z0-9_]', '', 'g'), 30),
    suffix) from pg_class where oid = watched);
  body := popular_posts_schema.popular_posts_write_watcher(name, watched, case when hard_columns is null then 'soft' else 'hard' end,
    live, live_from, hard_row, soft_row, schemas);

  perform popular_posts_schema.popular_posts_unwatch(watched);
  trigger_function := format('%s.%I()', ours, name);
  execute format('create function %s returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as %L', trigger_function, body);
  execute format('revoke execute on function %s from public', trigger_function);
  execute format('create trigger popular_posts_insert_%s after insert on %s
    referencing new table as new_rows for each statement execute function %s', suffix, watched, trigger_function);
  execute format('create trigger popular_posts_update_%s after update on %s
    referencing old table as old_rows new table as new_rows for each statement execute function %s', suffix, watched, trigger_function);
  execute format('create trigger popular_posts_delete_%s after delete on %s
    referencing old table as old_rows for each statement execute function %s', suffix, watched, trigger_function);
  execute format('create trigger popular_posts_truncate_%s after truncate on %s
    for each statement execute function %s', suffix, watched, trigger_function);
end
$watch$;
