-- popular_posts_announce(change, effective_at): announces that lists change, now or (a scheduled post) at a later time.
-- It runs with the rights of its owner, so the writer needs no rights on its table. The role public may not execute it.
-- functions.ts inserts the schema, and explains the search_path.
create function popular_posts_schema.popular_posts_announce(change text, effective_at timestamptz default now()) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
declare
  since constant timestamptz := greatest(effective_at, now());
begin
  insert into popular_posts_schema.popular_posts_change (change, changed_at) values (change, since) on conflict do nothing;
  if not found then return; end if;
  -- The channel is that of the database, so the payload ends with the schema.
  perform pg_notify('popular_posts', concat_ws(' ', case
    when since <= clock_timestamp() then concat_ws(' ', change, pg_current_xact_id(), extract(epoch from since))
    else 'later'
  end, (parse_ident('popular_posts_schema'))[1]));
end
$function$;
