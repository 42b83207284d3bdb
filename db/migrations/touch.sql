-- Trigger function of the daily counters: counts the changes of each day, which verify stored window sums.
-- A truncation of the counters deletes the stored sums. functions.ts inserts the schema, and explains the search_path.
create function popular_posts_schema.popular_posts_touch() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $function$
begin
  if tg_op = 'TRUNCATE' then
    delete from popular_posts_schema.post_views_window;
  else
    insert into popular_posts_schema.post_views_touch (day, times) select distinct day, 1 from touched;
  end if;
  return null;
end
$function$;
