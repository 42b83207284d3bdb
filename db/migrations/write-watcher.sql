-- Returns the body of the trigger function of a table. functions.ts inserts the schema, and explains the search_path.
--
-- The host's expressions are parsed once, here, and stored as PostgreSQL prints them: names outside pg_catalog are
-- qualified, and every operand has its type. So their meaning depends neither on a search_path nor on objects that
-- other roles create later. PostgreSQL prints an expression (pg_get_expr) only of an object that contains it. Here that
-- is a policy of an empty table, because a policy accepts any condition on one row.
create function popular_posts_schema.popular_posts_write_watcher(
  watcher text, watched regclass, change text, live text, live_from text, hard_row text, soft_row text,
  -- The schemas in which names of the expressions are resolved, after pg_catalog.
  schemas name[]
) returns text language plpgsql set search_path = pg_catalog, pg_temp as $write$
declare
  since text := coalesce('((' || live_from || E'\n)::timestamptz)', $$'-infinity'::timestamptz$$);
  is_live text := format(E'(%s\n) and %s <= statement_timestamp()', live, since);
  is_live_later text := format(E'(%s\n) and %s > statement_timestamp() and %2$s < ''infinity''', live, since);
  -- The same query as UNTRUSTED_ROLES of db/safe-path.ts.
  strangers constant oid[] := array(
    select oid from pg_roles
    where not rolsuper and rolname <> 'pg_database_owner' and not pg_has_role(oid, current_user, 'member')
  );
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

  -- The owner of every object that the expressions use must be trusted. PostgreSQL prefers the operator or function
  -- whose types fit best, which may be one of another role.
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
  -- Triggers cannot read virtual columns (PostgreSQL 18): the statement of the writer would fail.
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
  -- The expression inside '(… IS NULL)'.
  select substr(shown, 2, length(shown) - length('( IS NULL)')) into strict since
    from pg_policy, pg_get_expr(polqual, polrelid) as shown
    where polrelid = 'pg_temp.popular_posts_row'::regclass and polname = 'since';
  -- Verifies that the printed expressions work without a search_path.
  execute format('select %s, %s, %s from pg_temp.popular_posts_row where %s or %s', hard_row, soft_row, since, is_live, is_live_later);
  drop table pg_temp.popular_posts_row;

  -- For an update, old and new rows are compared as multisets, by sums of hashes of their text. That needs no key and
  -- no sorting, and works for any type of column. An error in the body never fails the statement of the writer, except a
  -- cancellation of that statement.
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
  $body$, watcher, change, is_live, is_live_later, hard_row, soft_row, since, 'popular_posts_schema');
end
$write$;
