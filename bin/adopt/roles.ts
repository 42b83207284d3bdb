/** The names that columns of blogs have, by their role. The first one that a table has is taken. */
const list = (names: string): readonly string[] => names.split(' ')

/** Kinds of columns, by what they can be used for. */
export const KINDS = {
  text: ['text'],
  time: ['instant', 'timestamp', 'date', 'integer'],
  clock: ['instant', 'timestamp', 'date'],
  flag: ['boolean', 'integer'],
  id: ['integer', 'uuid', 'text', 'number'],
} as const

export const SLUGS = list('slug url_slug seo_slug permalink handle url_key uri url_name key alias path_segment')
export const TITLES = list('title headline heading subject name label')
/** `created_at` and those after it: a time that every row has, also a draft. */
export const DATES = list(
  'published_at publish_at publication_date publish_date published_on date_published pub_date pubdate published_time published_date date_time_published published publish posted_at posted_on post_date publish_up publish_start publish_start_date publish_from post_date_gmt date_gmt goes_live_at release_date released_at display_date date datetime first_published_at created_at created_on date_created created creation_date created_date create_date crdate inserted_at',
)
export const STATUSES = list(
  'status state publication_status publish_status publication_state publish_state publishstate workflow_state post_status entry_status',
)
/** Words for a status that readers see. */
export const PUBLISHED_WORDS = list('published publish public live posted online visible released active approved')
/** A flag that readers see the row, and its contrary. */
export const PUBLISHED_FLAGS = list(
  'published is_published live is_live public public_visibility is_public visible is_visible online is_active publish approved is_approved',
)
/** A flag that a row is in use: it adds to the flags above. */
export const IN_USE = list('active enabled is_enabled')
/** A reference to the row that this one is a draft, or a revision, of. */
export const COPIES = list('draft_of revision_of draft_id revision_id')
/** Words for a status that follows from the dates alone. */
export const TIMES = list('live pending scheduled expired')
export const DRAFTS = list('draft is_draft hidden is_hidden unpublished is_unpublished disabled')
/** Words for a flag that is a text. */
export const TRUE_WORDS = [...PUBLISHED_WORDS, ...list('yes y true t 1')]
/** A time or a flag of a row that was deleted. */
export const DELETED_AT = list('deleted_at trashed_at discarded_at removed_at archived_at deleted_on date_deleted')
export const DELETED = list('deleted is_deleted trashed is_trashed removed is_removed archived is_archived')
/** A time after which readers do not see the row. */
export const EXPIRES = list(
  'expire_at expires_at end_publication unpublish_at publish_down publish_end publish_end_date publish_until expiry_date expiration_date expires_on',
)
export const PRIVATE_FLAGS = list('is_private private members_only login_required requires_login read_restricted')
export const PASSWORDS = list('password post_password')
/** Columns that tell posts from pages and from other rows, and the words for posts. */
export const TYPES = list('type post_type kind archetype content_type entry_type page_type')
export const POST_TYPES = list('post posts article articles blog blog_post blogpost story regular news entry')
export const LANGUAGES = list('locale language lang langcode language_code locale_code')
export const EXCERPTS = list(
  'excerpt custom_excerpt summary teaser description standfirst intro introduction lead abstract dek tldr synopsis blurb short_description meta_description search_description subtitle custom_teaser teaser_manual preview',
)
/** Excerpts that are HTML. */
export const HTML_EXCERPTS = list('introtext excerpt_html summary_html')
export const TEXTS = list(
  'content body text bodytext fulltext introtext html plaintext post_content content_html body_html body_markdown markdown raw content_rendered source mobiledoc lexical',
)
export const MINUTES = list('reading_minutes reading_time read_time reading_time_minutes minutes_to_read')
export const PATHS = list('url_path full_path permalink path url uri')
export const IMAGES = list(
  'feature_image featured_image cover_image main_image hero_image header_image lead_image image cover thumbnail picture photo banner og_image meta_image social_image preview_image',
)
export const PERSONS = list(
  'author writer byline post_author author_user user owner creator posted_by user_created created_by person',
)
export const PERSON_NAMES = list('display_name full_name name real_name pen_name nickname')
export const LOGINS = list('username user_name login screen_name handle slug title')
export const PERSON_SLUGS = list(
  'slug user_nicename nicename username user_name login handle screen_name permalink fqn nickname',
)
export const TERM_NAMES = list('name title label tag value keyword text')
/** Columns of a table with terms of several kinds that say which a row is. */
export const TERM_KINDS = list('taxonomy vocabulary type kind')
export const TERM_SLUGS = list('slug permalink handle url_key key alias')
export const PARENTS = list('parent_id parent parent_category_id parent_category')
export const POSITIONS = list('sort_order position order author_ord article_ord sort delta')

/** What a row of a table that a post is linked to is. */
export const NOUNS = {
  tags: list('tag keyword label hashtag'),
  categories: list('category section channel genre collection series topic theme rubric blog'),
  authors: list('author writer person user contributor editor creator profile'),
} as const
/** What a comment is called. */
export const COMMENT_NOUNS = list('comment reply response feedback')
/** A flag that readers do not see a comment. */
export const COMMENT_HIDDEN = [...DELETED, ...DRAFTS, ...list('spam is_spam is_internal')]
/** Columns of a post that have the names of its tags, its category or its author. */
export const TAG_COLUMNS = list('tags tag_list keywords labels topics hashtags')
export const CATEGORY_COLUMNS = list('categories category section channel rubric')
export const AUTHOR_COLUMNS = list('author author_name byline writer creator authors')
