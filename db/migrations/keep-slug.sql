-- Trigger function of posts: keeps the old slug of a published post, so that views of the old address count for the post.
-- It runs with the rights of its owner, so the writer needs no rights on post_aliases. functions.ts inserts the schema,
-- and explains the search_path.
create function popular_posts_schema.popular_posts_keep_slug() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
begin
  delete from popular_posts_schema.post_aliases where slug = new.slug;
  insert into popular_posts_schema.post_aliases (slug, post_id) values (old.slug, new.id)
    on conflict (slug) do update set post_id = excluded.post_id;
  return null;
end
$function$;
