import t from 'tap'
import { createCustomReader } from '../../../bin/import-log/formats/custom.ts'
import { createLogReader, FORMATS, isClosedLine } from '../../../bin/import-log/formats/formats.ts'
import { publicAddressIn } from '../../../bin/import-log/formats/readers.ts'
import { kindOf, showLine } from '../../../bin/import-log/formats/refused.ts'
import { parseTime } from '../../../bin/import-log/formats/times.ts'
import { createRequests } from '../../helpers/log-hits.ts'
import { WRITERS } from '../../helpers/log-writers.ts'

const AT = Date.UTC(2024, 1, 29, 10, 5, 3)
const read = (line: string, format?: string) => createLogReader(format)(line)

t.test('a line is of one format', async (t) => {
  const [request] = createRequests(1, 1)
  if (request === undefined) throw new Error('unreachable')
  for (const [name, { write, head = [], format }] of Object.entries(WRITERS)) {
    if (format !== undefined || name.includes('syslog')) continue
    const readers = FORMATS.map(({ createReader }) => createReader())
    for (const line of head) for (const reader of readers) reader(line)
    const results = [write(request)].flat().map((line) => readers.filter((reader) => reader(line) !== undefined).length)
    t.ok(Math.max(...results) <= 1, name)
  }
})

t.test('--format has only that format, also in an envelope', async (t) => {
  const json = '{"ts":1709201103,"remote_addr":"8.8.8.8","request":"GET /a HTTP/1.1","status":200}'
  t.match(read(json, 'json'), { address: '8.8.8.8', timeMs: AT, userAgent: undefined, referer: undefined })
  t.match(read(`Feb 29 10:05:03 web nginx[1]: ${json}`, 'json'), { target: '/a' })
  t.equal(read(json, 'combined'), undefined)
  t.equal(read(`${'web | '.repeat(9)}${json}`), undefined, 'envelopes without end are not opened')
})

t.test('JSON that is no request is refused, or is a message of pino', async (t) => {
  const request = { time: AT, ip: '8.8.8.8', method: 'GET', url: '/a', status: 200 }
  const line = (changes: object) => JSON.stringify({ ...request, ...changes })
  t.match(read(line({})), { address: '8.8.8.8', timeMs: AT, target: '/a' })
  for (const name of ['time', 'ip', 'method', 'url', 'status'])
    t.equal(read(line({ [name]: undefined })), undefined, name)
  for (const changes of [{ status: 'OK' }, { status: {} }, { time: 'now' }, { url: null }])
    t.equal(read(line(changes)), undefined, JSON.stringify(changes))
  t.match(read(line({ ip: '', xff: '1.1.1.1' })), { address: '1.1.1.1' })
  t.match(read(line({ ip: '-', remote_addr: '10.0.0.1', xff: '1.1.1.1' })), { address: '1.1.1.1' })
  t.match(read(line({ query: 'x=1' })), { target: '/a?x=1' })
  t.match(read(line({ url: undefined, request: 'GET /b HTTP/1.1' })), { target: '/b' })
  t.match(read(line({ referer: '-', agent: '-' })), { referer: undefined, userAgent: '' })
  const message = { level: 30, time: AT, pid: 1, hostname: 'web', msg: 'listening' }
  t.equal(read(JSON.stringify(message)), null)
  const orphan = { ...message, reqId: 'req-9', res: { statusCode: 200 } }
  t.equal(read(JSON.stringify(orphan)), undefined, 'an answer without its request')
  for (const text of ['{', '{"log":1}', '{"log":{}}', '{"log": ', '{"message":"a"}'])
    t.equal(read(text), undefined, text)
})

t.test('W3C: a date directive, quotes, the proxy and the reader', async (t) => {
  const w3c = createLogReader()
  t.equal(w3c('10:05:03 8.8.8.8 GET /a 200'), undefined, 'no #Fields')
  t.equal(w3c('#Date: 2024-02-29 00:00:00'), null)
  t.equal(w3c('#Fields: time c-ip cs-method cs-uri-stem sc-status cs(User-Agent) x-forwarded-for'), null)
  t.match(w3c('10:05:03 8.8.8.8 GET /a 200 "A ""b"" c" -'), { timeMs: AT, address: '8.8.8.8', referer: undefined })
  t.match(w3c('10:05:03 10.0.0.1 GET /a 200 A+b 1.1.1.1'), { address: '1.1.1.1', userAgent: 'A b' })
  t.equal(w3c('10:05:03 10.0.0.1 GET /a OK A+b 1.1.1.1'), undefined)
  t.equal(w3c('25:05:03 10.0.0.1 GET /a 200 A+b 1.1.1.1'), undefined)
  t.equal(w3c('10:05:03 10.0.0.1'), undefined)
  t.equal(w3c('#Fields: date time c-ip'), null)
  t.equal(w3c('2024-02-29 10:05:03 8.8.8.8'), undefined, 'too few fields')
  t.equal(w3c('#Fields: date time c-ip cs-method cs-uri-stem sc-status'), null)
  t.match(w3c('2024-02-29\t10:05:03\t8.8.8.8\tGET\t/%zz\t200'), { target: '/%zz', userAgent: undefined })
  t.match(w3c('2024-02-29 10:05:03 8.8.8.8 GET /a\tb 200'), { target: '/a\tb' }, 'IIS has decoded a tab')
  t.equal(w3c('2024-02-29\t10:05:03\t8.8.8.8\tGET\t/a\t\t200'), undefined, 'too many tabs')
})

t.test('AWS: no status, a time that does not exist', async (t) => {
  const elb = (time: string, status: string) =>
    `${time} lb 8.8.8.8:1 - -1 -1 -1 ${status} - 0 0 "GET http://a:80/b HTTP/1.1" "-" - -`
  t.match(read(elb('2024-02-29T10:05:03', '-')), { timeMs: AT, status: 0, userAgent: '' })
  t.equal(read(elb('2024-02-30T10:05:03Z', '200')), undefined)
  const s3 = (day: string, request: string) =>
    `o b [${day}/Feb/2024:10:05:03 +0000] 8.8.8.8 - I REST.GET.OBJECT k ${request} - - - - 7 - "-" "-" -`
  t.match(read(s3('29', '-')), { timeMs: AT, status: 0, method: '' })
  t.equal(read(s3('30', '-')), undefined)
})

t.test('HAProxy: captured headers', async (t) => {
  const line = (captured: string, day = '29') =>
    `10.0.0.1:1 [${day}/Feb/2024:10:05:03.250] f b/s 0/0/0/0/0 -1 +9 - - CD-- 1/1/1/1/+1 0/0 ${captured}"GET /a HTTP/1.1"`
  t.match(read(line('')), { userAgent: undefined, status: -1 })
  t.match(read(line('{Firefox|8.8.8.8|https://a.example/} ')), {
    address: '8.8.8.8',
    userAgent: 'Firefox',
    referer: 'https://a.example/',
  })
  t.match(read(line('{blog.example|8.8.8.8} ')), { userAgent: undefined })
  t.match(read(line('{} {gzip} ')), { userAgent: '' })
  t.equal(read(line('', '30')), undefined)
})

t.test('Envoy without the address of the reader is refused', async (t) => {
  const line = (address: string, day = '29') =>
    `[2024-02-${day}T10:05:03.000Z] "GET /a HTTP/2" 200 - 0 1 2 - "${address}" "Firefox" "1" "a" "10.0.0.1:80"`
  t.match(read(line('10.0.0.9')), { address: '10.0.0.9', timeMs: AT })
  t.equal(read(line('-')), undefined)
  t.equal(read(line('8.8.8.8', '30')), undefined)
})

t.test('format strings', async (t) => {
  const nginx = (format: string, line: string) => createCustomReader(format)(line)
  const common = '$remote_addr $remote_user [$time_local] '
  const begin = '8.8.8.8 a b [29/Feb/2024:10:05:03 +0000] '
  t.match(nginx(`${common}$request $status`, `${begin}GET /a b HTTP/1.1 200`), { timeMs: AT, target: '/a b' })
  t.match(
    nginx(`${common}$request_method $scheme://$host$request_uri $status`, `${begin}GET https://x.example/a 200`),
    {
      target: '/a',
    },
  )
  t.match(nginx(`${common}$request_method $uri$is_args$args $status`, `${begin}GET /a?b 200`), { target: '/a?b' })
  t.match(nginx(`${common}"$request" $status`, `${begin}"GET /a" 200`), { userAgent: undefined, referer: undefined })
  t.equal(nginx(`${common}"$request" $status`, `${begin}"GET /a" OK`), undefined)
  t.equal(nginx(`${common}"$request" $status`, `${begin.replace('Feb', 'Foo')}"GET /a" 200`), undefined)
  const apache = '%{X-Forwarded-For}i %{%Y-%m-%d %H:%M:%S}t.%{usec_frac}t %{%z}t "%r" %>s %{Foo}i %{BAR}e %I'
  t.match(nginx(apache, '1.1.1.1, 8.8.8.8 2024-02-29 10:05:03.000001 +0000 "GET /a HTTP/1.1" 200 - - 9'), {
    address: '1.1.1.1',
    timeMs: AT,
  })
  t.match(nginx('%h %{sec}t %m %U %s', '10.0.0.1 1709201103 GET /a 200'), { address: '10.0.0.1', timeMs: AT })
  t.match(
    nginx('log_format a \'$remote_addr $msec\' " $request_method $uri $status";', '8.8.8.8 1709201103 GET /a 200'),
    {
      timeMs: AT,
    },
  )
  const json = '{"a":"$remote_addr","t":"$msec","r":"$request","s":"$status","u":"$http_user_agent"}'
  const bad = String.raw`{"a":"8.8.8.8","t":"1709201103","r":"GET /a","s":"200","u":"\x41"}`
  t.match(nginx(json, bad), { userAgent: 'A' })
  t.throws(() => nginx('%h %{%Q}t %r %s', ''), { message: '--format: %Q in the time %{%Q}t is not known.' })
  t.throws(() => nginx('$remote_addr $status', ''), { message: /^--format needs the time .*, the request .*\), got: / })
})

t.test('times in any unit and notation', async (t) => {
  const cases: [string, number | undefined][] = [
    ['1709201103', AT],
    ['1709201103.5', AT + 500],
    ['1709201103000', AT],
    ['1709201103000000', AT],
    ['1709201103000000000', AT],
    ['2024/02/29 10:05:03.25 +00:00', AT + 250],
    ['2024-02-29T12:05:03+02:00', AT],
    ['2024-02-29T07:35:03-0230', AT],
    ['2024-02-29 10:05:03 UTC', AT],
    ['2024-02-29T10:05:03', new Date(2024, 1, 29, 10, 5, 3).getTime()],
    ['29/Feb/2024:10:05:03', new Date(2024, 1, 29, 10, 5, 3).getTime()],
    ['[29/Feb/2024:10:05:03 +0000]', AT],
    ['2024-13-01T00:00:00Z', undefined],
    ['yesterday', undefined],
  ]
  for (const [text, expected] of cases) t.equal(parseTime(text), expected, text)
})

t.test('the reader in a list of addresses', async (t) => {
  const cases: [string, string | undefined][] = [
    ['1.2.3.4', '1.2.3.4'],
    ['10.0.0.1, 2001:db8::1, 1.2.3.4', '2001:db8::1'],
    ['unknown, [2001:db8::1]:443', '[2001:db8::1]:443'],
    ['2001:DB8:0:0:1:2:3:4:443', '2001:DB8:0:0:1:2:3:4:443'],
    ['fe80::1%eth0, 100.64.0.1, ::1, 192.168.1.1, 172.16.0.1, 169.254.1.1, 127.0.0.1', undefined],
    ['10.0.0.1:80', undefined],
    ['a.example', undefined],
    ['-', undefined],
    ['', undefined],
    ['999.1.1.1', undefined],
  ]
  for (const [text, expected] of cases) t.equal(publicAddressIn(text), expected, text)
})

t.test('what is no access log is named', async (t) => {
  const cases: [string, RegExp][] = [
    ['PK\u0003\u0004abc', /zip/],
    ['7z\ufffd\ufffd', /7z/],
    [`access.log${'\0'.repeat(90)}ustar`, /tar archive/],
    ['LPKSHHRH\0', /journalctl/],
    ['ElfFile\0', /Windows/],
    ['1\0.\x002\0', /UTF-16/],
    ['2024/02/29 10:05:03 [error] 7#7: *1 open() failed', /error log/],
    ['[Thu Feb 29 10:05:03.123456 2024] [core:notice] [pid 1] AH00094', /error log/],
    ['2024-02-29\t10:05:03\tFRA2-C1', /#Fields/],
    ['[2024-02-29T10:05:03.000Z] "GET / HTTP/2" 200 - "-"', /Envoy/],
    ['  [{"a":1}]', /JSON/],
    ['<html>', /HTML/],
    ['something else', /^$/],
  ]
  for (const [line, expected] of cases) t.match(kindOf(line), expected, line)
  t.equal(showLine('a\u001b[2J\u202eb\ufffd'), 'a\\u001b[2J\\u202eb\\ufffd')
  t.equal(showLine('x'.repeat(300)), `${'x'.repeat(200)}…`)
})

t.test('an object of JSON is a closed line', async (t) => {
  t.ok(isClosedLine('{"a":1}'))
  t.notOk(isClosedLine('{"a":1'))
})

t.test('no line takes long', async (t) => {
  const parts = [
    '"',
    '\\',
    ' ',
    ' [',
    '[0',
    '{',
    ' | ',
    '{"a":',
    '1.2.3.4 ',
    '1.2.3.4, ',
    ' - ',
    '#',
    '\t',
    '\u001b[',
    '<1>1 ',
    '" "',
    '2024-02-29T10:05:03Z ',
  ]
  const reader = createLogReader()
  const custom = createLogReader('$remote_user $http_x_forwarded_for $remote_addr [$time_local] $request $status')
  reader('#Fields: date time c-ip cs-method cs-uri-stem sc-status')
  for (const part of parts) {
    const line = part.repeat(32_768 / part.length)
    const beganMs = performance.now()
    for (const before of [
      '',
      '1.2.3.4 - - [29/Feb/2024:10:05:03 +0000] "GET /',
      '[2024-02-29T10:05:03.000Z] "GET /a HTTP/2" 200 ',
    ]) {
      reader(`${before}${line}`)
      custom(`${before}${line.slice(0, 8192)}`)
    }
    t.ok(performance.now() - beganMs < 20_000, JSON.stringify(part))
  }
})
