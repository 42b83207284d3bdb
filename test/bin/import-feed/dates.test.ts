import t, { type Test } from 'tap'
import { parseDate } from '../../../bin/import-feed/dates.ts'

/** Each text is this date, in UTC. */
function expectDates(t: Test, cases: Record<string, string>): void {
  for (const [text, date] of Object.entries(cases)) t.equal(parseDate(text)?.toISOString(), `${date}.000Z`, text)
}

t.test('dates of RFC 822 and 2822, as generators write them', async (t) => {
  const cases = {
    'Tue, 03 Jun 2025 09:39:21 GMT': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 +0000': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 UT': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 Z': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 EST': '2025-06-03T14:39:21',
    'Tue, 03 Jun 2025 09:39:21 EDT': '2025-06-03T13:39:21',
    'Tue, 03 Jun 2025 09:39:21 CST': '2025-06-03T15:39:21',
    'Tue, 03 Jun 2025 09:39:21 CDT': '2025-06-03T14:39:21',
    'Tue, 03 Jun 2025 09:39:21 MST': '2025-06-03T16:39:21',
    'Tue, 03 Jun 2025 09:39:21 MDT': '2025-06-03T15:39:21',
    'Tue, 03 Jun 2025 09:39:21 PST': '2025-06-03T17:39:21',
    'Tue, 03 Jun 2025 09:39:21 pdt': '2025-06-03T16:39:21',
    'Tue, 03 Jun 2025 09:39:21 CEST': '2025-06-03T07:39:21',
    'Tue, 03 Jun 2025 09:39:21 IST': '2025-06-03T04:09:21',
    'Tue, 03 Jun 2025 09:39:21 -0730': '2025-06-03T17:09:21',
    'Tue, 03 Jun 2025 09:39:21 +05:30': '2025-06-03T04:09:21',
    'Tue, 03 Jun 2025 23:39:21 -0100': '2025-06-04T00:39:21',
    // Military letters and unknown names say nothing.
    'Tue, 03 Jun 2025 09:39:21 A': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 XYZT': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 constructor': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21 +0000 (Coordinated Universal Time)': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39:21': '2025-06-03T09:39:21',
    'Tue, 03 Jun 2025 09:39 GMT': '2025-06-03T09:39:00',
    // The wrong weekday, none, a whole one.
    'Fri, 03 Jun 2025 09:39:21 GMT': '2025-06-03T09:39:21',
    '3 Jun 2025 09:39:21 GMT': '2025-06-03T09:39:21',
    'Tuesday, 3 June 2025 9:39:21 GMT': '2025-06-03T09:39:21',
    'tue, 3 jun 25 09:39:21 gmt': '2025-06-03T09:39:21',
    '03-Jun-2025 09:39:21 GMT': '2025-06-03T09:39:21',
    '3 Sept 99 00:00:00 GMT': '1999-09-03T00:00:00',
    '3 Jun 2025': '2025-06-03T00:00:00',
    ' \n Tue, 03 Jun 2025 09:39:21 GMT \n': '2025-06-03T09:39:21',
    'Sat, 29 Feb 2020 24:00:00 GMT': '2020-03-01T00:00:00',
    'Sat, 31 Dec 2016 23:59:60 GMT': '2016-12-31T23:59:59',
  }
  expectDates(t, cases)
})

t.test('dates of ISO 8601', async (t) => {
  const cases = {
    '2025-06-03T09:39:21Z': '2025-06-03T09:39:21',
    '2025-06-03T09:39:21.123456Z': '2025-06-03T09:39:21',
    '2025-06-03t09:39:21z': '2025-06-03T09:39:21',
    '2025-06-03T09:39:21+02:00': '2025-06-03T07:39:21',
    '2025-06-03T09:39:21-0330': '2025-06-03T13:09:21',
    '2025-06-03T09:39:21+02': '2025-06-03T07:39:21',
    '2025-06-03T09:39Z': '2025-06-03T09:39:00',
    '2025-06-03 09:39:21 +0200': '2025-06-03T07:39:21',
    '2025-06-03 09:39:21 UTC': '2025-06-03T09:39:21',
    '2025-06-03T09:39:21': '2025-06-03T09:39:21',
    '2025-06-03': '2025-06-03T00:00:00',
    '2025-06': '2025-06-01T00:00:00',
    '2025': '2025-01-01T00:00:00',
  }
  expectDates(t, cases)
})

t.test('what is no date, or stands for none', async (t) => {
  const none = [
    ...[
      '',
      ' ',
      'yesterday',
      'undefined',
      'Invalid date',
      '03/06/2025',
      '2025-13-01',
      '2025-02-30',
      '2025-06-03T25:00Z',
    ],
    ...['2025-06-03T09:61Z', '31 Feb 2025 00:00:00 GMT', '3 Foo 2025 00:00:00 GMT', '20250603', '1749000000'],
    // Hugo writes the year 1, others the epoch.
    ...[
      'Mon, 01 Jan 0001 00:00:00 +0000',
      '0001-01-01T00:00:00Z',
      '1970-01-01T00:00:00Z',
      `2025${' '.repeat(50_000)}x`,
    ],
  ]
  for (const text of none) t.equal(parseDate(text), undefined, text.slice(0, 40))
  t.equal(parseDate(undefined), undefined)
})
