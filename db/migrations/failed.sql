-- A trigger function calls it after an error: it announces that everything may have changed, stores the reason for the
-- log of the next start, and warns the first time. Rows are only added, under the id of their transaction, so that
-- writers do not wait for each other. functions.ts inserts the schema, and explains the search_path.
create function popular_posts_schema.popular_posts_failed(failing text, code text, message text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
begin
  perform popular_posts_schema.popular_posts_announce('hard', now());
  if exists (select from popular_posts_schema.popular_posts_watch_failure where watcher = failing) then return; end if;
  insert into popular_posts_schema.popular_posts_watch_failure (watcher, code, message) values (failing, code, message)
    on conflict do nothing;
  raise warning 'popular posts: the trigger function % fails (% %), so each write to its table makes all lists outdated: call popular_posts_watch for the table again',
    failing, code, message;
end
$function$;
