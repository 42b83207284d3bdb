-- Creates the role of role.ts, gives it all that the superuser owns, and takes from the superuser the right to log in.
-- It may run again.
do $$
declare
  superuser constant oid := (select oid from pg_authid where rolname = 'postgres');
  owned text;
begin
  if not exists (select from pg_roles where rolname = 'popular_posts_service') then create role popular_posts_service; end if;
  execute format('alter role popular_posts_service login password %L', (select rolpassword from pg_authid where oid = superuser));
  -- To see which folder the server has: see presence.ts.
  grant pg_read_all_settings to popular_posts_service;
  alter database postgres owner to popular_posts_service;
  for owned in
    with object as (
      select case relkind when 'S' then 'sequence' else 'table' end as kind, oid::regclass::text as name,
        'pg_class'::regclass as class, oid, relnamespace as schema, relowner as owner
      from pg_class where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      union all
      select 'routine', oid::regprocedure::text, 'pg_proc'::regclass, oid, pronamespace, proowner from pg_proc
      union all
      select 'type', oid::regtype::text, 'pg_type'::regclass, oid, typnamespace, typowner from pg_type
      where typtype in ('c', 'd', 'e', 'r')
      union all
      select 'schema', oid::regnamespace::text, 'pg_namespace'::regclass, oid, oid, nspowner from pg_namespace
    )
    select format('%s %s', kind, name) from object
    where owner = superuser and schema::regnamespace::text !~ '^(pg_|information_schema)'
      -- What belongs to a column, a table, a type or an extension goes with that.
      and not exists (select from pg_depend where classid = class and objid = object.oid and objsubid = 0
        and (deptype in ('i', 'e') or deptype = 'a' and kind = 'sequence'))
  loop
    execute format('alter %s owner to popular_posts_service', owned);
  end loop;
  alter role postgres nologin;
end
$$;
