-- The magazine under the names that fastify-popular-posts asks for: see docs/adopting.md.
create view popular_posts.posts as
select
  id,
  handle as slug,
  headline as title,
  '/articles/' || handle as url,
  coalesce(standfirst, '') as excerpt,
  writer_id as author_id,
  case when state = 'published' then goes_live_at end as published_at,
  members_only as is_private,
  cover ->> 'src' as image_url,
  -- A cast that fails for one row would take that row out of all lists.
  case when cover ->> 'width' ~ '^[0-9]{1,5}$' then (cover ->> 'width')::integer end as image_width,
  case when cover ->> 'height' ~ '^[0-9]{1,5}$' then (cover ->> 'height')::integer end as image_height,
  coalesce(cover ->> 'alt', '') as image_alt,
  greatest(1, words / 200) as reading_minutes
from magazine.article;

create view popular_posts.authors as select id, handle as slug, full_name as name from magazine.writer;
create view popular_posts.categories as select id, key as slug, title as name from magazine.section;
create view popular_posts.tags as select name as id, lower(replace(name, ' ', '-')) as slug, name from magazine.label;

create view popular_posts.post_categories as
select id as post_id, section_id as category_id from magazine.article where section_id is not null;

create view popular_posts.post_tags as select article_id as post_id, label as tag_id from magazine.article_label;
create view popular_posts.comments as select article_id as post_id, state = 'visible' as is_approved from magazine.reply;

select popular_posts.popular_posts_watch('magazine.article',
  hard_columns => '{handle}',
  live => $$state = 'published' and not members_only$$,
  live_from => 'goes_live_at',
  columns => '{headline, standfirst, words, writer_id, section_id, goes_live_at, cover}');
select popular_posts.popular_posts_watch('magazine.reply', live => $$state = 'visible'$$, columns => '{article_id}');
select popular_posts.popular_posts_watch('magazine.writer');
select popular_posts.popular_posts_watch('magazine.section');
select popular_posts.popular_posts_watch('magazine.label');
select popular_posts.popular_posts_watch('magazine.article_label');
