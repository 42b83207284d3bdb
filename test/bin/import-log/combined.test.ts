import fc from 'fast-check'
import { DateTime } from 'luxon'
import t from 'tap'
import { createCombinedReader } from '../../../bin/import-log/formats/combined.ts'
import { isClosedLine } from '../../../bin/import-log/formats/formats.ts'
import type { LoggedRequest } from '../../../bin/import-log/formats/request.ts'

const parseLine = createCombinedReader()
const LINE = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "Firefox"'
const GET_A = {
  address: '1.2.3.4',
  timeMs: Date.UTC(2015, 4, 17, 10, 5, 3),
  method: 'GET',
  target: '/a',
  status: 200,
  host: undefined,
  referer: undefined,
  userAgent: 'Firefox',
}

t.test('a line of the combined or the common format is read', async (t) => {
  const cases: [name: string, line: string, expected: Partial<LoggedRequest>][] = [
    ['combined', LINE, {}],
    ['common', LINE.replace(' "-" "Firefox"', ''), { userAgent: undefined }],
    ['a referer', LINE.replace('"-"', String.raw`"https://a.example/\"x"`), { referer: 'https://a.example/"x' }],
    ['no user agent sent', LINE.replace('Firefox', '-'), { userAgent: '' }],
    ['an empty user agent', LINE.replace('Firefox', ''), { userAgent: '' }],
    ['no body', LINE.replace(' 12 ', ' - '), {}],
    ['IPv6', LINE.replace('1.2.3.4', '2001:db8::7'), { address: '2001:db8::7' }],
    ['IPv4 in IPv6', LINE.replace('1.2.3.4', '::ffff:1.2.3.4'), { address: '::ffff:1.2.3.4' }],
    ['a host name', LINE.replace('1.2.3.4', 'crawl-1.example.com'), { address: 'crawl-1.example.com' }],
    ['a port', LINE.replace('1.2.3.4', '1.2.3.4:4711'), { address: '1.2.3.4:4711' }],
    ['brackets', LINE.replace('1.2.3.4', '[2001:db8::7]:443'), { address: '[2001:db8::7]:443' }],
    ['the site first (vhost_combined)', `blog.example:443 ${LINE}`, { host: 'blog.example:443' }],
    [
      'the site first, IPv6',
      `blog.example:443 ${LINE.replace('1.2.3.4', '2001:db8::7')}`,
      { address: '2001:db8::7', host: 'blog.example:443' },
    ],
    ['a list of addresses', LINE.replace('1.2.3.4', '1.2.3.4, 10.0.0.4'), { address: '1.2.3.4,' }],
    ['a longer list', LINE.replace('1.2.3.4', '1.2.3.4:80, 10.0.0.4, ::1'), { address: '1.2.3.4:80,' }],
    ['a user with a space', LINE.replace('- - [', '- John Doe ['), {}],
    ['a user with a bracket', LINE.replace('- - [', '- a[1] ['), {}],
    ['fields after the user agent', `${LINE} "10.0.0.1" 0.003`, {}],
    ['a time of ISO 8601', LINE.replace('17/May/2015:10:05:03 +0000', '2015-05-17T10:05:03+00:00'), {}],
    ['a prefix of words', `2015-05-17 - INFO - ${LINE}`, {}],
    ['a prefix with brackets', `[1] [web] ${LINE}`, {}],
    [
      'the site first, an ident',
      `blog.example:443 ${LINE.replace(' - - [', ' ident bob [')}`,
      { host: 'blog.example:443' },
    ],
    ['an address and an ident', LINE.replace(' - - [', ' ident bob ['), {}],
    ['a list and an ident', LINE.replace('4 - - [', '4, 10.0.0.4 ident bob ['), { address: '1.2.3.4,' }],
    ['a host name and an ident', LINE.replace('1.2.3.4 - - [', 'a.example ident bob ['), { address: 'a.example' }],
    [
      'the site and a host name',
      `blog.example ${LINE.replace('1.2.3.4', 'a.example')}`,
      { address: 'a.example', host: 'blog.example' },
    ],
    ['a host name and a long user', LINE.replace('1.2.3.4 - -', 'a.example - A B'), { address: 'a.example' }],
    ['common, fields after it', LINE.replace('"-" "Firefox"', '0.003 text'), { userAgent: undefined }],
    ['common, a list after it', LINE.replace('"-" "Firefox"', '"8.8.8.8"'), { userAgent: undefined }],
    ['common, other fields after it', LINE.replace('"-" "Firefox"', '1 "a" "b"'), { userAgent: undefined }],
    ['a private proxy', `${LINE.replace('1.2.3.4', '10.0.0.1')} 0.1 xff="unknown, 10.0.0.2, 1.2.3.4"`, {}],
    ['a private reader', `${LINE.replace('1.2.3.4', '10.0.0.1')} "10.0.0.2" "x"`, { address: '10.0.0.1' }],
    ['a public client with a list', `${LINE} "8.8.8.8"`, {}],
    ['a HEAD', LINE.replace('GET', 'HEAD'), { method: 'HEAD' }],
    ['HTTP/0.9', LINE.replace('GET /a HTTP/1.1', 'GET /a'), { target: '/a' }],
    ['HTTP/2', LINE.replace('HTTP/1.1', 'HTTP/2'), {}],
    ['spaces in the target', LINE.replace('/a ', '/a b  c '), { target: '/a b  c' }],
    ['a version in the target', LINE.replace('/a ', '/a HTTP/ '), { target: '/a HTTP/' }],
    ['a query with quotes', LINE.replace('/a ', String.raw`/a?q=\"x\" `), { target: '/a?q="x"' }],
    ['escaped quotes', LINE.replace('Firefox', String.raw`a \"b\" c`), { userAgent: 'a "b" c' }],
    ['an escaped backslash at the end', LINE.replace('Firefox', String.raw`a\\`), { userAgent: 'a\\' }],
    ['a backslash before a quote', LINE.replace('Firefox', String.raw`\\\"`), { userAgent: String.raw`\"` }],
    ['UTF-8 as \\xhh', LINE.replace('Firefox', String.raw`\xD0\x96\xe2\x82\xac!`), { userAgent: 'Ж€!' }],
    ['bytes that are no UTF-8', LINE.replace('Firefox', String.raw`a\xFFb`), { userAgent: 'a\ufffdb' }],
    ['control characters', LINE.replace('Firefox', String.raw`a\tb\nc\x00`), { userAgent: 'a\tb\nc\0' }],
    ['an unknown escape', LINE.replace('Firefox', String.raw`a\qb\x4`), { userAgent: String.raw`a\qb\x4` }],
    ['a TLS greeting', LINE.replace('GET /a HTTP/1.1', String.raw`\x16\x03\x01\x02\x00`), { method: '', target: '' }],
    ['an empty request', LINE.replace('GET /a HTTP/1.1', ''), { method: '', target: '' }],
    ['no request', LINE.replace('GET /a HTTP/1.1', '-'), { method: '', target: '' }],
    ['a version only', LINE.replace('GET /a HTTP/1.1', 'GET HTTP/1.1'), { method: '', target: '' }],
    ['no target', LINE.replace('GET /a HTTP/1.1', 'GET '), { method: '', target: '' }],
  ]
  for (const [name, line, expected] of cases) t.strictSame(parseLine(line), { ...GET_A, ...expected }, name)
})

t.test('a line in another format is refused', async (t) => {
  const lines = {
    empty: '',
    'the end is missing': LINE.slice(0, -1),
    'the referer only': LINE.replace(' "Firefox"', ''),
    'no status': LINE.replace(' 200', ''),
    'no address': LINE.replace('1.2.3.4 ', ''),
    'no space after the time': `x ${LINE.replace('] ', ']')}`,
    'glued to the last field': `${LINE}x`,
    json: '{"ip":"1.2.3.4"}',
    'two addresses that may be the client': `5.6.7.8 - ${LINE}`,
    'no host name that can be told': LINE.replace('1.2.3.4 - -', 'a - b - c'),
    'many words without an address': LINE.replace('1.2.3.4 - -', 'a b c d'),
    'an open quote': LINE.replace('"-" "Firefox"', '"open'),
    'no user': LINE.replace('1.2.3.4 - -', 'a -'),
    'no time': LINE.replace('17/May/2015:10:05:03 +0000', 'today'),
    'an open escape': LINE.replace('Firefox"', String.raw`Firefox\"`),
  }
  for (const [name, line] of Object.entries(lines)) t.equal(parseLine(line), undefined, name)
})

t.test('times are parsed in any time zone', async (t) => {
  const cases: [string, string | undefined][] = [
    ['01/Jan/2016:00:30:00 +0100', '2015-12-31T23:30:00Z'],
    ['31/Dec/2015:23:30:00 -0100', '2016-01-01T00:30:00Z'],
    ['31/Dec/2015:23:59:59 +0000', '2015-12-31T23:59:59Z'],
    ['29/Mar/2015:01:59:59 +0100', '2015-03-29T00:59:59Z'],
    ['29/Mar/2015:03:00:00 +0200', '2015-03-29T01:00:00Z'],
    ['25/Oct/2015:02:30:00 +0200', '2015-10-25T00:30:00Z'],
    ['25/Oct/2015:02:30:00 +0100', '2015-10-25T01:30:00Z'],
    ['17/May/2015:10:05:03 +0545', '2015-05-17T04:20:03Z'],
    ['17/May/2015:10:05:03 -0330', '2015-05-17T13:35:03Z'],
    ['17/May/2015:00:00:00 +1400', '2015-05-16T10:00:00Z'],
    ['29/Feb/2016:00:00:00 +0000', '2016-02-29T00:00:00Z'],
    ['30/Jun/2015:23:59:60 +0000', '2015-07-01T00:00:00Z'],
    ['29/Feb/2015:00:00:00 +0000', undefined],
    ['31/Feb/2015:00:00:00 +0000', undefined],
    ['31/Apr/2015:00:00:00 +0000', undefined],
    ['00/May/2015:00:00:00 +0000', undefined],
    ['32/May/2015:00:00:00 +0000', undefined],
    ['17/Foo/2015:00:00:00 +0000', undefined],
    ['17/05./2015:00:00:00 +0000', undefined],
    ['17/May/2015:24:00:00 +0000', undefined],
    ['17/May/2015:00:60:00 +0000', undefined],
    ['17/May/2015:00:00:61 +0000', undefined],
    ['17/May/2015:00:00:00 +2400', undefined],
    ['17/May/0015:00:00:00 +0000', undefined],
    ['2015-05-17T10:05:03+00:00 ', undefined],
  ]
  for (const [date, expected] of cases) {
    const timeMs = parseLine(LINE.replace('17/May/2015:10:05:03 +0000', date))?.timeMs
    t.equal(timeMs, expected && Date.parse(expected), date)
  }
})

t.test('every time in every time zone is parsed exactly', async (t) => {
  const moment = fc.integer({ min: 86_400, max: Date.UTC(2100, 0) / 1000 })
  const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', 'Pacific/Kiritimati')
  fc.assert(
    fc.property(moment, zone, (seconds, name) => {
      const date = DateTime.fromSeconds(seconds, { zone: name, locale: 'en-US' }).toFormat('dd/MMM/yyyy:HH:mm:ss ZZZ')
      t.equal(parseLine(LINE.replace('17/May/2015:10:05:03 +0000', date))?.timeMs, seconds * 1000)
    }),
  )
})

t.test('a line written by a server is parsed to its values', async (t) => {
  const word = fc.stringMatching(/^[!-~]{1,30}$/)
  const text = fc.string({ unit: 'binary', maxLength: 50 })
  fc.assert(
    fc.property(word, word, text, text, fc.constantFrom(apache, nginx), (address, target, from, agent, write) => {
      const request = write(`GET ${target} HTTP/1.1`)
      const line = `${address} - - [17/May/2015:10:05:03 +0000] "${request}" 304 0 "${write(from)}" "${write(agent)}"`
      const [referer, userAgent] = [from === '-' ? undefined : from, agent === '-' ? '' : agent]
      t.strictSame(parseLine(line), { ...GET_A, address, target, status: 304, referer, userAgent })
      t.ok(isClosedLine(line))
    }),
  )
})

t.test('no input takes long or throws', async (t) => {
  const parts = ['"', '\\', ' ', '[', '] "', '[17/May/2015:10:05:03 +0000] "', 'GET ', ' HTTP/1.1', '\\x', 'a', '\\"']
  for (const part of parts) parseLine(`1.2.3.4 - - [${part.repeat(65_536 / part.length)}`)
  for (const part of parts) parseLine(LINE.replace('/a', part.repeat(65_536 / part.length)))
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts, LINE)), (pieces) => {
      parseLine(pieces.join(''))
    }),
  )
  t.pass()
})

t.test('a line is closed when the quote after the user agent is its end', async (t) => {
  for (let length = 0; length < LINE.length; length++) t.notOk(isClosedLine(LINE.slice(0, length)))
  t.ok(isClosedLine(LINE))
  t.notOk(isClosedLine(`${LINE} "10.0`))
  t.notOk(isClosedLine(LINE.replace(' "-" "Firefox"', '')), 'the size of the answer may go on')
})

function apache(text: string): string {
  return nginx(text.replace(/[\\"]/g, '\\$&').replace(/\t/g, '\\t').replace(/\n/g, '\\n'))
    .replaceAll('\\x5C', '\\')
    .replaceAll('\\x22', '"')
}

function nginx(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
      return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}
