-- popular_posts_unwatch(table): drops the triggers and functions that popular_posts_watch created for the table.
-- functions.ts inserts the schema, and explains the search_path.
create function popular_posts_schema.popular_posts_unwatch(watched regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $unwatch$
declare
  made record;
  name text;
begin
  for made in
    select array_agg(tgname) as triggers, tgfoid::regprocedure as trigger_function
    from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where tgrelid = watched and proname like 'popular\_posts\_watch\_%'
      and pronamespace = 'popular_posts_schema'::regnamespace
    group by tgfoid
  loop
    foreach name in array made.triggers loop
      execute format('drop trigger %I on %s', name, watched);
    end loop;
    execute format('drop function %s', made.trigger_function);
  end loop;
end
$unwatch$;
