-- The magazine as it is, and a schema for what comes beside it.
create schema popular_posts;

create schema magazine;
create table magazine.writer (id uuid primary key, handle text not null unique, full_name text not null);
create table magazine.section (id uuid primary key, key text not null unique, title text not null);
create table magazine.label (name text primary key);
create table magazine.article (
  id uuid primary key default gen_random_uuid(),
  handle text not null unique,
  headline text not null,
  standfirst text,
  words integer not null default 0,
  writer_id uuid references magazine.writer,
  section_id uuid references magazine.section,
  state text not null default 'draft' check (state in ('draft', 'review', 'published', 'retired')),
  members_only boolean not null default false,
  goes_live_at timestamptz,
  cover jsonb
);
create table magazine.article_label (
  article_id uuid references magazine.article on delete cascade,
  label text references magazine.label,
  primary key (article_id, label)
);
create table magazine.reply (
  id uuid primary key default gen_random_uuid(),
  article_id uuid not null references magazine.article on delete cascade,
  body text not null,
  state text not null default 'visible' check (state in ('visible', 'hidden', 'spam'))
);
create index on magazine.reply (article_id);
create index on magazine.article (section_id);
create index on magazine.article_label (label);

insert into magazine.writer (id, handle, full_name) values ('00000000-0000-4000-8000-000000000001', 'ann', 'Ann Oakes');
insert into magazine.section (id, key, title) values ('00000000-0000-4000-8000-000000000002', 'travel', 'Travel');
insert into magazine.label (name) values ('Slow Trains');
insert into magazine.article (handle, headline, standfirst, words, writer_id, section_id, state, goes_live_at)
select article.handle, headline, standfirst, 900, writer.id, section.id, state, now() - interval '1 day'
from magazine.writer, magazine.section, (values
  ('night-train', 'The night train is back', 'And it still smells of coffee.', 'published'),
  ('border-cafe', 'A café on the border', 'The kitchen is in one country, the terrace in the other.', 'published'),
  ('late-edition', 'The late edition', 'Not out yet.', 'review')
) as article (handle, headline, standfirst, state);
