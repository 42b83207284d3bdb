import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createCalendar } from '../../../bin/import-counts/days.ts'
import { FORMAT_NAMES } from '../../../bin/import-counts/formats.ts'
import type { ImportCountsOptions } from '../../../bin/import-counts/import-counts.ts'
import { jsonValues } from '../../../bin/import-counts/json-values.ts'
import { type ExportFile, readExport, readSlugs } from '../../../bin/import-counts/read-export.ts'
import { addPosts } from '../../helpers/access-log.ts'
import { importTexts, readAllCounters } from '../../helpers/counter-exports.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

interface Case {
  name: string
  format: string
  text: string
  /** The counters of `goat` and `map`. */
  counters: Record<string, string>
  options?: Partial<ImportCountsOptions>
}

const IDS = new Map([
  ['11', 'goat'],
  ['12', 'map'],
])
const lines = (...all: unknown[]) =>
  `${all.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')}\n`
const GOAT_AND_MAP = { goat: '7', 'goat 2024-05-01': '5', 'goat 2024-05-02': '2', map: '3', 'map 2024-05-01': '3' }
const TOTALS = { goat: '7', map: '3' }

/** Exports as their makers write them, with content of our own. */
const CASES: Case[] = [
  {
    name: 'imported_pages_20240501_20240502.csv of Plausible',
    format: 'plausible',
    text: lines(
      '"date","hostname","page","visits","visitors","pageviews","total_scroll_depth","total_scroll_depth_visits"',
      '"2024-05-01","blog.example","/blog/goat",4,4,5,200,4',
      '"2024-05-01","blog.example","/blog/map/",3,3,3,80,2',
      '"2024-05-01","blog.example","/",9,9,9,80,2',
      '"2024-05-02","blog.example","/blog/goat",2,2,2,20,1',
    ),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'pages.csv of the dashboard of Plausible',
    format: 'plausible',
    text: lines('name,visitors,pageviews,bounce_rate,time_on_page', '/blog/goat,5,7,50,12', '/blog/map,3,3,,'),
    counters: TOTALS,
  },
  {
    name: 'a reply of the API of Plausible, version 1',
    format: 'plausible',
    text: JSON.stringify({
      results: [
        { page: '/blog/goat', pageviews: 7 },
        { page: '/blog/map', pageviews: 3 },
      ],
    }),
    counters: TOTALS,
  },
  {
    name: 'a reply of the API of Plausible, version 2',
    format: 'plausible',
    text: JSON.stringify({
      results: [
        { metrics: [5], dimensions: ['2024-05-01', '/blog/goat'] },
        { metrics: [2], dimensions: ['2024-05-02', '/blog/goat'] },
        { metrics: [3], dimensions: ['2024-05-01', '/blog/map'] },
      ],
      meta: {},
      query: { site_id: 'blog.example', metrics: ['pageviews'], dimensions: ['time:day', 'event:page'] },
    }),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'website_event.csv of Umami, whose times are UTC',
    format: 'umami',
    text: lines(
      'website_id,session_id,event_id,hostname,url_path,url_query,page_title,event_type,event_name,created_at',
      'w,s,1,blog.example,/blog/goat,,Goat,1,,2024-05-01 21:59:59',
      'w,s,2,blog.example,/blog/goat,utm=x,Goat,1,,2024-05-01 22:00:00',
      'w,s,3,blog.example,/blog/goat,,Goat,2,signup,2024-05-01 22:00:00',
    ),
    options: { timeZone: 'Europe/Berlin' },
    counters: { goat: '2', 'goat 2024-05-01': '1', 'goat 2024-05-02': '1' },
  },
  {
    name: 'Actions.getPageUrls of Matomo for some days, as JSON',
    format: 'matomo',
    text: JSON.stringify({
      '2024-05-01': [
        { label: 'blog', nb_visits: 8, nb_hits: 8, idsubdatatable: 3 },
        { label: '/goat', nb_visits: 4, nb_hits: 5, url: 'https://blog.example/blog/goat' },
        { label: '/map', nb_visits: 3, nb_hits: 3, url: 'https://blog.example/blog/map' },
      ],
      '2024-05-02': [{ label: '/goat', nb_visits: 2, nb_hits: 2, url: 'https://blog.example/blog/goat' }],
      '2024-05-03': [],
    }),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'Actions.getPageUrls of Matomo for some days, as CSV',
    format: 'matomo',
    text: lines(
      'date,label,nb_visits,nb_hits,sum_time_spent,metadata_url',
      '2024-05-01,blog,8,8,100,',
      '2024-05-01,/goat,4,5,60,https://blog.example/blog/goat',
      '2024-05-01,/map,3,3,40,https://blog.example/blog/map',
      '2024-05-02,/goat,2,2,40,https://blog.example/blog/goat',
    ),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'the pages report of Matomo, as CSV in UTF-16',
    format: 'matomo',
    text: lines('Label,Unique Pageviews,Pageviews,Bounce Rate', 'blog/goat,6,7,20%', 'blog/map,3,3,0%'),
    counters: TOTALS,
  },
  {
    name: 'a document of goaccess --output json',
    format: 'goaccess',
    text: JSON.stringify({
      general: { start_date: '01/May/2024', total_requests: 20 },
      visitors: { metadata: {}, data: [{ hits: { count: 9, percent: '50.0%' }, data: '20240501' }] },
      requests: {
        metadata: { hits: { total: { value: 10 } } },
        data: [
          {
            hits: { count: 7, percent: '70.00%' },
            visitors: { count: 5 },
            method: 'GET',
            protocol: 'HTTP/2',
            data: '/blog/goat',
          },
          {
            hits: { count: 3, percent: '30.00%' },
            visitors: { count: 3 },
            method: 'GET',
            protocol: 'HTTP/2',
            data: '/blog/map',
          },
        ],
      },
    }),
    counters: TOTALS,
  },
  {
    name: 'a report of Google Analytics 4 with comments and a first table without pages',
    format: 'ga4',
    text: lines(
      '# ----------------------------------------',
      '# Pages and screens: Page path and screen class',
      '# Start date: 20240501',
      '# ----------------------------------------',
      'Nth day,Active users',
      '0000,12',
      '',
      '# Start date: 20240501',
      'Date,Page path and screen class,Views,Active users',
      '20240501,/blog/goat,5,4',
      '20240501,/blog/map,3,3',
      '20240502,/blog/goat,2,2',
      ',,10,9,Grand total',
    ),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'a reply of the Data API of Google Analytics 4',
    format: 'ga4',
    text: JSON.stringify({
      dimensionHeaders: [{ name: 'date' }, { name: 'pagePath' }],
      metricHeaders: [{ name: 'screenPageViews', type: 'TYPE_INTEGER' }],
      rows: [
        { dimensionValues: [{ value: '20240501' }, { value: '/blog/goat' }], metricValues: [{ value: '5' }] },
        { dimensionValues: [{ value: '20240502' }, { value: '/blog/goat' }], metricValues: [{ value: '2' }] },
        { dimensionValues: [{ value: '20240501' }, { value: '/blog/map' }], metricValues: [{ value: '3' }] },
      ],
      rowCount: 3,
      kind: 'analyticsData#runReport',
    }),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'a reply of the GraphQL API of Cloudflare about a zone',
    format: 'cloudflare',
    text: JSON.stringify({
      data: {
        viewer: {
          zones: [
            {
              httpRequestsAdaptiveGroups: [
                { count: 5, dimensions: { date: '2024-05-01', clientRequestPath: '/blog/goat' } },
                { count: 2, dimensions: { date: '2024-05-02', clientRequestPath: '/blog/goat' } },
                { count: 3, dimensions: { date: '2024-05-01', clientRequestPath: '/blog/map' } },
              ],
            },
          ],
        },
      },
      errors: null,
    }),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'a reply of the GraphQL API of Cloudflare about Web Analytics, by hour',
    format: 'cloudflare',
    text: JSON.stringify({
      data: {
        viewer: {
          accounts: [
            {
              rumPageloadEventsAdaptiveGroups: [
                {
                  count: 7,
                  sum: { visits: 5 },
                  dimensions: { datetimeHour: '2024-05-01T10:00:00Z', requestPath: '/blog/goat' },
                },
              ],
            },
          ],
        },
      },
    }),
    counters: { goat: '7', 'goat 2024-05-01': '7' },
  },
  {
    name: 'the table popularpostssummary of WordPress Popular Posts',
    format: 'wordpress-popular-posts',
    text: lines(
      '"ID","postid","pageviews","view_date","view_datetime"',
      '"1","11","4","2024-05-01","2024-05-01 10:00:00"',
      '"2","11","1","2024-05-01","2024-05-01 11:00:00"',
      '"3","11","2","2024-05-02","2024-05-02 11:00:00"',
      '"4","12","3","2024-05-01","2024-05-01 11:00:00"',
    ),
    options: { ids: IDS },
    counters: GOAT_AND_MAP,
  },
  {
    name: 'the table popularpostsdata of WordPress Popular Posts',
    format: 'wordpress-popular-posts',
    text: lines(
      '"postid";"day";"last_viewed";"pageviews"',
      '"11";"2020-01-01 00:00:00";"2024-05-02 11:00:00";"7"',
      '"12";"0000-00-00 00:00:00";"2024-05-02 11:00:00";"3"',
    ),
    options: { ids: IDS },
    counters: TOTALS,
  },
  {
    name: 'the table post_views of Post Views Counter',
    format: 'post-views-counter',
    text: lines(
      'id,type,period,count',
      '11,0,20240501,5',
      '11,0,20240502,2',
      '11,1,202418,7',
      '11,2,202405,7',
      '11,3,2024,7',
      '11,4,total,7',
      '12,0,20240501,3',
      '12,4,total,9',
    ),
    options: { ids: IDS },
    counters: { ...GOAT_AND_MAP, map: '9' },
  },
  {
    name: 'an export of Koko Analytics, ndjson with tables',
    format: 'koko-analytics',
    text: lines(
      { table: 'koko_analytics_site_stats', columns: ['date', 'visitors', 'pageviews'] },
      [['2024-05-01', '9', '17']],
      { table: 'koko_analytics_paths', columns: ['id', 'path'] },
      [
        ['1', '/blog/goat/'],
        ['2', '/blog/map/'],
      ],
      { table: 'koko_analytics_post_stats', columns: ['date', 'path_id', 'post_id', 'visitors', 'pageviews'] },
      [
        ['2024-05-01', '1', '11', '4', '5'],
        ['2024-05-01', '2', '12', '3', '3'],
      ],
      [
        ['2024-05-02', '1', '11', '1', '2'],
        ['2024-05-02', '9', '0', '1', '2'],
      ],
      { table: 'koko_analytics_referrer_labels', columns: ['id', 'value'] },
      [['1', 'example.com']],
    ),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'the table koko_analytics_post_stats of version 1',
    format: 'koko-analytics',
    text: lines(
      'date,id,visitors,pageviews',
      '2024-05-01,11,4,5',
      '2024-05-01,12,3,3',
      '2024-05-02,11,1,2',
      '2024-05-02,0,1,2',
    ),
    options: { ids: IDS },
    counters: GOAT_AND_MAP,
  },
  {
    name: 'top pages of Ghost',
    format: 'ghost',
    text: JSON.stringify({
      meta: [{ name: 'post_uuid', type: 'String' }],
      data: [
        { post_uuid: 'u', pathname: '/blog/goat/', visits: 7 },
        { post_uuid: '', pathname: '/blog/map/', visits: 3 },
      ],
      rows: 2,
    }),
    counters: TOTALS,
  },
  {
    name: 'events of Ghost',
    format: 'ghost',
    text: lines(
      {
        timestamp: '2024-05-01 10:00:00',
        session_id: 's',
        action: 'page_hit',
        version: '1',
        payload: '{"pathname":"/blog/goat/"}',
      },
      {
        timestamp: '2024-05-01 10:00:00',
        session_id: 's',
        action: 'other',
        version: '1',
        payload: '{"pathname":"/blog/goat/"}',
      },
      { timestamp: '2024-05-02 10:00:00', session_id: 's', action: 'page_hit', payload: { pathname: '/blog/map/' } },
      { timestamp: '2024-05-02 10:00:00', session_id: 's', action: 'page_hit', payload: '{' },
    ),
    counters: { goat: '1', 'goat 2024-05-01': '1', map: '1', 'map 2024-05-02': '1' },
  },
  {
    name: 'a table with a row for each view, with times of another zone',
    format: 'rows',
    text: lines(
      'id;post_slug;viewed_at;ip',
      '1;goat;2024-05-01 23:30:00;192.0.2.1',
      '2;goat;2024-05-01T23:30:00+02:00;192.0.2.1',
      '3;goat;1714600800;192.0.2.1',
      '4;map;1714600800123;192.0.2.1',
      '5;map;2024-05-01;192.0.2.1',
      '6;map;2024-05-01 20:00:00 UTC;192.0.2.1',
      '7;map;;192.0.2.1',
      '8;map;2024-05-01 25:00:00;192.0.2.1',
      '9;map;2024-02-30 05:00:00;192.0.2.1',
    ),
    options: { timeZone: 'Europe/Berlin', sourceZone: 'America/New_York' },
    counters: {
      goat: '3',
      'goat 2024-05-01': '1',
      'goat 2024-05-02': '2',
      map: '3',
      'map 2024-05-01': '2',
      'map 2024-05-02': '1',
    },
  },
  {
    name: 'JSON of slugs, days and views',
    format: 'counts',
    text: JSON.stringify([
      { slug: 'goat', day: '2024-05-01', views: 5 },
      { slug: 'goat', day: '2024-05-02', views: 2 },
      { slug: 'map', date: '2024-05-01', count: 3, more: { nested: ['a "quoted" text'] } },
    ]),
    counters: GOAT_AND_MAP,
  },
  {
    name: 'tab-separated text with a byte order mark and CRLF',
    format: 'counts',
    text: '\ufeffSlug\tDay\tViews\r\ngoat\t2024-05-01\t5\r\n"goat"\t2024-05-02\t2\r\n\r\n"map"\t2024-05-01\t"3"',
    counters: GOAT_AND_MAP,
  },
]

t.test('exports are recognised by their columns, and counted', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await addPosts(db, 'goat', 'map')
  for (const { name, format, text, counters, options } of CASES)
    await t.test(name, async (t) => {
      await pool.query(
        'truncate post_views_daily, post_views_hourly, post_views_total, post_views_import, post_views_import_count',
      )
      const imported = await importTexts(db, text, options)
      t.equal(imported.source, format)
      t.same(await readAllCounters(db), counters)
      await pool.query(
        'truncate post_views_daily, post_views_hourly, post_views_total, post_views_import, post_views_import_count',
      )
      await importTexts(db, text, { ...options, from: format })
      t.same(await readAllCounters(db), counters, 'also with --from')
      t.equal((await importTexts(db, text, options)).outcome, 'nothing new')
    })
  t.same(
    [...new Set(CASES.map(({ format }) => format))].sort(),
    FORMAT_NAMES.filter((name) => name !== 'popular-posts').sort(),
  )
})

async function read(pieces: (Buffer | string)[], from?: string): Promise<string[]> {
  const rows: string[] = []
  for await (const batch of readExport(fileOf(pieces), from, () => {}))
    for (const { line, fields } of batch) rows.push(`${line} ${Object.values(fields).join('|')}`)
  return rows
}

function fileOf(pieces: (Buffer | string)[]): ExportFile {
  async function* input() {
    yield* pieces
  }
  return { name: 'file', input: input() }
}

t.test('days of more times than are remembered', async (t) => {
  const calendar = createCalendar('Asia/Kolkata', 'UTC')
  const days = new Set(Array.from({ length: 100_010 }, (_, quarter) => calendar.dayOf(quarter * 900_000)))
  t.ok(days.size > 1040)
})

t.test('files are the same in any pieces, packed or in UTF-16', async (t) => {
  const text = '\n#note, with a comma\nslug;title;views\n"a;b";"Say ""hi"",\nand more";1\nc;Ü"x;2\n#d;"";3\ne\n'
  const rows = ['4 a;b|Say "hi",\nand more|1', '6 c|Ü"x|2', '7 #d||3', '8 e||']
  const bytes = Buffer.from(text)
  for (const size of [1, 2, 3, 7, 1000]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    )
    t.same(await read(pieces), rows, `pieces of ${size} bytes`)
  }
  t.same(await read([text]), rows, 'a text')
  t.same(await read([gzipSync(text)]), rows, 'gzip')
  const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le')
  t.same(await read([utf16]), rows, 'UTF-16LE')
  t.same(await read([Buffer.from(utf16).swap16()]), rows, 'UTF-16BE')
  const json = Buffer.from(' [ {"slug":"a\\"]}","views":1}, 5, {"slug":"Ü","views":{"a":[]}} ] ')
  for (const size of [1, 2, 5, 1000]) {
    const pieces = Array.from({ length: Math.ceil(json.length / size) }, (_, i) =>
      json.subarray(i * size, (i + 1) * size),
    )
    t.same(await read(pieces), ['1 a"]}|1', '2 Ü|'], `JSON in pieces of ${size} bytes`)
  }
})

t.test('what is no export is an error that says what was expected', async (t) => {
  const fails = async (message: string | RegExp, pieces: (Buffer | string)[], from?: string) =>
    t.rejects(read(pieces, from), { message }, String(message))
  await fails(
    'file: expected CSV or JSON with columns such as slug or path, day and views (see docs/import-counts.md), got no rows.',
    [],
  )
  await fails(/got no rows\.$/, [' \n'])
  await fails(/got no rows\.$/, ['slug,views\n'])
  await fails(/got the columns name, size\.$/, ['Name,Size\na,1\n'])
  await fails(/got the columns name\.$/, ['{"name":1}\n[[1]]\n'])
  await fails(
    'file: expected an export of plausible with the columns page, pageviews; or name, visitors, pageviews, got the columns slug, views.',
    ['slug,views\na,1\n'],
    'plausible',
  )
  await fails('file: This file is a zip archive: unpack it, and import the file in it that has the views of pages.', [
    Buffer.from('PK\x03\x04more'),
  ])
  await fails(/packed with zstd/, [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0])])
  await fails('file: Line 2 has a quote that is not closed: the file is cut off.', ['slug,views\n"a,1\n'])
  await fails('file: Line 2 has a quote that is not closed, or is no CSV.', ['slug,views\n"', 'a,1\n'.repeat(300_000)])
  await fails(/no CSV\.$/, ['x'.repeat(1_100_000)])
  await fails('file: The JSON is cut off in the middle of a value.', ['[{"slug":"a","views":1},{"slug":'])
  await fails('file: Value 2 of the file is no JSON.', ['[{"slug":"a","views":1},{"slug":}]'])
  const values = jsonValues(Readable.from(['{"a":"', 'x'.repeat(50), 'x'.repeat(60)]), 100)
  await t.rejects(
    values
      .next()
      .then(() => values.next())
      .then(() => values.next()),
    {
      message: 'One value of the file is too large: export fewer days at once, or write one object a line.',
    },
  )
  await fails(/^file: The gzip data cannot be read to its end/, [gzipSync('slug,views\na,1\n').subarray(0, 20)])
  const posts = fileOf(['ID,post_name,post_title\n11,goat,Goat\n12,,Draft\n'])
  t.same(await readSlugs(posts), new Map([['11', 'goat']]))
  t.same(await readSlugs(fileOf(['[{"id":11,"slug":"goat"},{"slug":"x"},{"id":12}]'])), new Map([['11', 'goat']]))
  await t.rejects(readSlugs(fileOf(['a,b\n1,2\n'])), {
    message: 'file: expected the columns id and slug, or ID and post_name, got the columns a, b.',
  })
})
