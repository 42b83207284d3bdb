/** A blog with its own tables, as in `docs/adopting.md`: its content, and its changes. */
interface ForeignBlog {
  /** The heading in the document. */
  heading: string
  postId: string
  /**
   * Two live posts of two authors, the first with a category, a tag and a comment; a draft with its own names; and a
   * post without a time.
   */
  fill: string
  publish: string
  edit: string
  invisible: string
  /** Many more posts, so that the planner uses indexes. */
  grow: string
}

export const uuid = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
export const FOREIGN_BLOGS: ForeignBlog[] = [
  {
    heading: 'Example: other names',
    postId: 'bigint',
    fill: `
      insert into wp_users values (1, 'ann', 'Ann'), (2, 'bob', 'Bob'), (3, 'cyd', 'Cyd');
      insert into wp_posts (post_author, post_date_gmt, post_title, post_name, post_status) values
        (1, '2020-01-01', 'One', 'one', 'publish'), (2, '2020-01-02', 'Two', 'two', 'publish'),
        (3, '2020-01-03', 'Draft', 'hidden', 'draft'), (1, '-infinity', 'Never', 'never', 'publish');
      insert into wp_terms values (1, 'News', 'news'), (2, 'Red', 'red'), (3, 'Secret', 'secret'), (4, 'Blue', 'blue');
      insert into wp_term_taxonomy (term_taxonomy_id, term_id, taxonomy)
        values (11, 1, 'category'), (12, 2, 'post_tag'), (13, 3, 'category'), (14, 4, 'post_tag');
      insert into wp_term_relationships values (1, 11), (1, 12), (3, 13), (3, 14);
      insert into wp_comments (comment_post_id, comment_content, comment_approved) values (1, 'Hm', '1'), (1, 'Buy', 'spam')`,
    publish: "update wp_posts set post_status = 'publish' where post_name = 'hidden'",
    edit: "update wp_users set display_name = 'Anna' where id = 1",
    invisible: 'update wp_posts set comment_count = 7; update wp_term_taxonomy set count = 5',
    grow: `
      insert into wp_posts (post_author, post_date_gmt, post_title, post_name)
        select 1, now() - make_interval(days => n), 'Post', 'post-' || n from generate_series(1, 3000) n;
      insert into wp_comments (comment_post_id, comment_content) select id, 'Hm' from wp_posts, generate_series(1, 5);
      insert into wp_term_relationships select id, 11 from wp_posts on conflict do nothing`,
  },
  {
    heading: 'Example: uuids',
    postId: 'uuid',
    fill: `
      insert into magazine.writer values ('${uuid(1)}', 'ann', 'Ann'), ('${uuid(2)}', 'bob', 'Bob'), ('${uuid(3)}', 'cyd', 'Cyd');
      insert into magazine.section values ('${uuid(11)}', 'news', 'News'), ('${uuid(13)}', 'secret', 'Secret');
      insert into magazine.label values ('Red'), ('Blue');
      insert into magazine.article (id, handle, headline, writer_id, section_id, state, goes_live_at) values
        ('${uuid(21)}', 'one', 'One', '${uuid(1)}', '${uuid(11)}', 'published', '2020-01-01'),
        ('${uuid(22)}', 'two', 'Two', '${uuid(2)}', null, 'published', '2020-01-02'),
        ('${uuid(23)}', 'hidden', 'Draft', '${uuid(3)}', '${uuid(13)}', 'review', '2020-01-03'),
        ('${uuid(24)}', 'never', 'Never', '${uuid(1)}', null, 'published', '-infinity');
      insert into magazine.article_label values ('${uuid(21)}', 'Red'), ('${uuid(23)}', 'Blue');
      insert into magazine.reply (article_id, body, state) values ('${uuid(21)}', 'Hm', 'visible'), ('${uuid(21)}', 'Buy', 'spam')`,
    publish: "update magazine.article set state = 'published' where handle = 'hidden'",
    edit: "update magazine.writer set full_name = 'Anna' where handle = 'ann'",
    invisible: "update magazine.reply set body = 'Well'; update magazine.article set words = 9 where handle = 'hidden'",
    grow: `
      insert into magazine.article (handle, headline, state, goes_live_at, section_id)
        select 'post-' || n, 'Post', 'published', now() - make_interval(days => n), '${uuid(11)}'
        from generate_series(1, 3000) n;
      insert into magazine.reply (article_id, body) select id, 'Hm' from magazine.article, generate_series(1, 5);
      insert into magazine.article_label select id, 'Red' from magazine.article on conflict do nothing`,
  },
]
