import type { Fields } from './unfold.ts'

/** Where an export has its values. Columns are in lower case; of several, the first that the export has and that is not empty. */
export interface Format {
  /** The name for `--from`, and the name of the source unless another one is given. */
  name: string
  /** The columns by which the format is recognised: of each list one must be there. */
  needs: readonly (readonly string[])[]
  /** The columns of the post. */
  slug?: readonly string[]
  path?: readonly string[]
  /** The column of the query string, if the path is without it. */
  query?: readonly string[]
  id?: readonly string[]
  /** The column of the day; without one, numbers are totals. */
  day?: readonly string[]
  /** The column of a time: its day is counted. */
  time?: readonly string[]
  /** The column of the hour of a row that has a day, too. */
  hour?: readonly string[]
  /** The column of the number; without one, each row is a view. */
  views?: readonly string[]
  /** The column of the heat of a total: see `db/count-views.ts`. */
  heat?: readonly string[]
  /** Times without an offset are UTC. */
  isUtc?: boolean
  /** Whether a row has views of a page. Default: each has. */
  keeps?: (fields: Fields) => boolean
}

const SLUG = ['slug', 'post_slug', 'post_name']
const PATH = ['path', 'url', 'page', 'pathname', 'page_path', 'url_path', 'uri', 'permalink', 'link']
const ID = ['post_id', 'postid', 'id']
const DAY = ['day', 'date']
const TIME = ['time', 'timestamp', 'datetime', 'created_at', 'viewed_at', 'visited_at']
const VIEWS = ['views', 'pageviews', 'hits', 'count', 'total', 'visits', 'view_count']

const GA_PATH = [
  ...[
    'page path and screen class',
    'page path + query string and screen class',
    'page path + query string',
    'page path',
  ],
  ...['page location', 'full page url', 'unifiedpagepathscreen', 'pagepathplusquerystring', 'pagepath', 'fullpageurl'],
  'pagelocation',
]
const isOneOf = (field = '', ...values: string[]) => values.includes(field)

/** The formats, those first that need more columns. */
export const FORMATS: readonly Format[] = [
  {
    name: 'popular-posts',
    needs: [['slug'], ['day'], ['hour'], ['views'], ['heat']],
    slug: ['slug'],
    day: ['day'],
    hour: ['hour'],
    views: ['views'],
    heat: ['heat'],
  },
  {
    name: 'plausible',
    needs: [['page'], ['pageviews']],
    path: ['page'],
    day: ['date'],
    views: ['pageviews'],
  },
  { name: 'plausible', needs: [['name'], ['visitors'], ['pageviews']], path: ['name'], views: ['pageviews'] },
  {
    name: 'umami',
    needs: [['url_path'], ['created_at'], ['event_type', 'session_id', 'website_id']],
    path: ['url_path'],
    query: ['url_query'],
    time: ['created_at'],
    isUtc: true,
    keeps: ({ event_type }) => isOneOf(event_type, '', '1', 'pageview'),
  },
  {
    name: 'matomo',
    needs: [
      ['label', 'page url'],
      ['nb_hits', 'unique pageviews'],
    ],
    path: ['metadata_url', 'metadata: url', 'url', 'label', 'page url'],
    day: ['date'],
    views: ['nb_hits', 'pageviews'],
    // A folder has the sum of its pages, and no address.
    keeps: ({ idsubdatatable, metadata_url }) => isOneOf(idsubdatatable, '') && metadata_url !== '',
  },
  {
    name: 'ga4',
    needs: [GA_PATH, ['views', 'screenpageviews', 'pageviews']],
    path: GA_PATH,
    day: ['date'],
    views: ['views', 'screenpageviews', 'pageviews'],
  },
  {
    name: 'cloudflare',
    needs: [['clientrequestpath', 'requestpath'], ['count']],
    path: ['clientrequestpath', 'requestpath'],
    day: ['date'],
    time: ['datetime', 'datetimehour', 'datetimefifteenminutes', 'datetimefiveminutes', 'datetimeminute'],
    views: ['count'],
  },
  {
    name: 'wordpress-popular-posts',
    needs: [['postid'], ['pageviews'], ['view_date', 'last_viewed']],
    id: ['postid'],
    day: ['view_date'],
    views: ['pageviews'],
  },
  {
    name: 'post-views-counter',
    needs: [['id'], ['type'], ['period'], ['count']],
    id: ['id'],
    day: ['period'],
    views: ['count'],
    // Days, and the total. The sums of weeks, months and years have no day.
    keeps: ({ type }) => isOneOf(type, '0', '4'),
  },
  {
    name: 'koko-analytics',
    needs: [['date'], ['path', 'post_id', 'id'], ['visitors'], ['pageviews']],
    path: ['path'],
    id: ['post_id', 'id'],
    day: ['date'],
    views: ['pageviews'],
  },
  {
    name: 'ghost',
    needs: [['pathname'], ['timestamp'], ['session_id']],
    path: ['pathname'],
    time: ['timestamp'],
    isUtc: true,
    keeps: ({ action }) => isOneOf(action, '', 'page_hit'),
  },
  { name: 'ghost', needs: [['pathname'], ['visits']], path: ['pathname'], day: DAY, views: ['visits'] },
  { name: 'goaccess', needs: [['data'], ['hits']], path: ['data'], views: ['hits'] },
  {
    name: 'counts',
    needs: [[...SLUG, ...PATH, ...ID], VIEWS],
    slug: SLUG,
    path: PATH,
    id: ID,
    day: DAY,
    time: TIME,
    views: VIEWS,
  },
  {
    name: 'rows',
    needs: [
      [...SLUG, ...PATH, ...ID],
      [...TIME, ...DAY],
    ],
    slug: SLUG,
    path: PATH,
    id: ID,
    day: DAY,
    time: TIME,
  },
]

/** The names for `--from`. */
export const FORMAT_NAMES = [...new Set(FORMATS.map(({ name }) => name))]

/** The format of an export with these columns; `undefined`: none. With `from`, only formats of that name. */
export function recogniseFormat(columns: readonly string[], from?: string): Format | undefined {
  return FORMATS.filter(({ name }) => from === undefined || name === from).find(({ needs }) =>
    needs.every((anyOf) => anyOf.some((column) => columns.includes(column))),
  )
}

/** The columns that a format needs, for an error. */
export function describeNeeds(name: string): string {
  return FORMATS.filter((format) => format.name === name)
    .map(({ needs }) => needs.map((anyOf) => anyOf.slice(0, 3).join(' or ')).join(', '))
    .join('; or ')
}
