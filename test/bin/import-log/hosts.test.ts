import t from 'tap'
import { createLogReader } from '../../../bin/import-log/formats/formats.ts'
import type { LoggedRequest } from '../../../bin/import-log/formats/request.ts'
import { createHostCheck, parseHosts } from '../../../bin/import-log/hosts.ts'
import { createRequests } from '../../helpers/log-hits.ts'
import { WRITERS } from '../../helpers/log-writers.ts'

/** The hosts that the lines of {@link WRITERS} name; of those that are missing, none. */
const HOSTS: Record<string, string> = {
  'vhost_combined of Apache': 'blog.example',
  'a virtual host that is an address': '192.0.2.80',
  'common with a virtual host': 'blog.example',
  Caddy: 'blog.example',
  'Caddy in Docker': 'blog.example',
  'Traefik, JSON': 'blog.example',
  'Cloudflare Logpush': 'blog.example',
  Fastly: 'blog.example',
  'Envoy, JSON': 'blog.example',
  Envoy: 'blog.example',
  Istio: 'blog',
  Fastify: 'blog.example',
  'pino-http': 'blog.example',
  'Elastic Common Schema': 'blog.example',
  'Google Cloud': 'blog.example',
  CloudFront: 'd111111abcdef8.cloudfront.net',
  'Application Load Balancer': 'blog.example',
  'Classic Load Balancer': 'blog.example',
  S3: 'blog.example',
  HAProxy: 'blog.example',
  'HAProxy in syslog': 'blog.example',
  'a log_format of nginx': 'blog.example',
}

/** The host of a request; `undefined`: the line names none. */
function hostOf(request: Pick<LoggedRequest, 'host' | 'target'>): string | undefined {
  const check = createHostCheck([])
  check.isWanted(request)
  return check.others().top[0]?.host
}

function lastOf(lines: readonly string[], format?: string): LoggedRequest {
  const read = createLogReader(format)
  const request = lines.map(read).at(-1)
  if (request === undefined || request === null) throw new Error(`not read: ${lines.at(-1)}`)
  return request
}

t.test('the host of a request, in each format that has one', async (t) => {
  const [request] = createRequests(1, 1)
  if (request === undefined) throw new Error('no request')
  for (const [name, { head = [], write, format }] of Object.entries(WRITERS)) {
    const written = [...head, ...[write({ ...request, target: '/blog/a' })].flat()]
    t.equal(hostOf(lastOf(written, format)), HOSTS[name], name)
  }
})

t.test('further places of the host', async (t) => {
  const combined = '203.0.113.7 - - [29/Feb/2024:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "Firefox"'
  const absolute = combined.replace('/a', 'https://user@Blog.example:8443/a?x=//other.example/')
  const w3c = (name: string, value: string) => [
    `#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent) ${name}`,
    `2024-02-29 10:05:03 203.0.113.7 GET /a 200 Firefox ${value}`,
  ]
  const json = (fields: object) => [
    JSON.stringify({ time: 1709201103, ip: '203.0.113.7', method: 'GET', path: '/a', status: 200, ...fields }),
  ]
  const format = (variable: string) => `${variable} $remote_addr [$time_local] "$request" $status`
  const short = '203.0.113.7 [29/Feb/2024:10:05:03 +0000] "GET /a HTTP/1.1" 200'
  const apache = (directive: string) => `${directive} %h %t \\"%r\\" %>s`
  const cases: [lines: string[], host: string | undefined, format?: string][] = [
    [[absolute], 'blog.example'],
    [[`blog.example ${combined}`], 'blog.example'],
    [[`web blog.example:80 ${combined}`], 'blog.example'],
    [[`web ${combined}`], 'web'],
    [[`[2001:db8::1]:80 ${combined}`], '[2001:db8::1]'],
    [[`web two ${combined}`], undefined],
    [w3c('cs-host', 'blog.example'), 'blog.example'],
    [w3c('cs(Host)', 'blog.example'), 'blog.example'],
    [w3c('cs(Host) x-host-header', 'd1.cloudfront.net blog.example'), 'blog.example'],
    [w3c('cs-host', '-'), undefined],
    [json({ http_host: 'blog.example', hostname: 'web-1' }), 'blog.example'],
    [json({ server_name: 'blog.example', host: 'web-1' }), 'blog.example'],
    [json({ host: { name: 'web-1' }, 'url.domain': 'blog.example' }), 'blog.example'],
    [json({ host: '' }), undefined],
    [[`blog.example ${short}`], 'blog.example', format('$host')],
    [[`blog.example ${short}`], 'blog.example', format('$http_host')],
    [[`blog.example ${short}`], 'blog.example', format('$server_name')],
    [[`blog.example other.example ${short}`], 'blog.example', format('$host $server_name')],
    [[`blog.example ${short}`], 'blog.example', apache('%v')],
    [[`blog.example:443 ${short}`], 'blog.example', apache('%V:%p')],
    [[`blog.example ${short}`], 'blog.example', apache('%{Host}i')],
  ]
  for (const [lines, host, given] of cases)
    t.equal(hostOf(lastOf(lines, given)), host, `${given ?? ''} ${lines.at(-1)}`)
})

t.test('hosts are compared without case, port and final dot, in one notation', async (t) => {
  const equal: [wanted: string, logged: string][] = [
    ['Blog.Example', 'blog.example'],
    ['blog.example', 'BLOG.EXAMPLE:8443'],
    ['blog.example:80', 'blog.example:443'],
    ['blog.example', 'blog.example.'],
    ['::1', '[0:0:0:0:0:0:0:1]:8080'],
    ['[2001:DB8::1]', '[2001:db8::1]'],
    ['blög.example', 'xn--blg-tna.example'],
    ['_', '_'],
    ['blog.example:http', 'BLOG.example:http'],
    ['blog.example', 'blog.example.:443'],
    ['blog.example', 'blog.example:'],
    ['blog.example', 'blog.example:99999'],
    ['xn--blg-tna.example', 'BLÖG.example:8080'],
    ['blo\u0308g.example', 'xn--blg-tna.example'],
    ['::ffff:192.0.2.1', '[::ffff:c000:201]:80'],
    ['[2001:db8::1]:443', '2001:DB8:0::1'],
    ['2001:db8::1', '[2001:db8::1]:99999'],
    ['127.0.0.1', '127.0.0.1:80'],
    ['localhost', 'LOCALHOST:3000'],
  ]
  const request = (host: string) => ({ host, target: '/' })
  for (const [wanted, logged] of equal)
    t.ok(createHostCheck(parseHosts([wanted])).isWanted(request(logged)), `${wanted} is ${logged}`)
  const check = createHostCheck(parseHosts(['a.example, b.example', 'c.example']))
  for (const host of ['a.example', 'b.example', 'c.example']) t.ok(check.isWanted(request(host)))
  for (const host of ['www.a.example', 'www.a.example', 'example', '-', '']) t.notOk(check.isWanted(request(host)))
  t.strictSame(check.others(), {
    withoutHost: 2,
    top: [
      { host: 'www.a.example', requests: 2 },
      { host: 'example', requests: 1 },
    ],
  })
  const wrongs = ['', 'a.example,', 'https://a.example', 'a b', 'user@a.example', 'a.example/', '*.a.example']
  for (const wrong of wrongs)
    t.throws(() => parseHosts([wrong]), /^--host needs the name of a host, such as blog\.example, got: /, wrong)
})

t.test('a host that no server would take is another host, also if it begins or ends with the wanted one', async (t) => {
  const strange = [
    ...['user@blog.example', 'blog.example/a', 'blog.example?a', 'blog.example#a', 'other.example\\@blog.example'],
    ...['blog.example, other.example', 'other.example,blog.example', 'blog.example,', 'blog.example..', '*.example'],
    ...['blog.example:80:80', '[blog.example]', '[2001:db8::1', '2001:db8::1]', '%zz', 'blog.example:-1', ':80', '.'],
    ...['bl\\xC3\\xB6g.example', 'blog.example\0', 'x'.repeat(70_000)],
  ]
  const check = createHostCheck(parseHosts(['blog.example', '2001:db8::1']))
  for (const host of strange) t.notOk(check.isWanted({ host, target: '/' }), host.slice(0, 40))
  t.equal(check.others().withoutHost, 0)
  t.equal(check.others().top.length, 3)
})

t.test('the host of a target with its origin counts where the line names no other', async (t) => {
  const check = createHostCheck(['blog.example', '[2001:db8::1]'])
  const wanted = ['https://BLOG.example./?p=1', 'http://user:word@blog.example:8080/', 'HTTP://[2001:DB8::1]:80?p=1']
  for (const target of wanted) t.ok(check.isWanted({ host: undefined, target }), target)
  t.ok(check.isWanted({ host: 'blog.example', target: 'http://www.blog.example/' }), 'the server chose the site')
  for (const target of [
    'http://other.example/@blog.example',
    'http://other.example?blog.example',
    'http://blog.example@other.example/',
  ])
    t.notOk(check.isWanted({ host: '-', target }), target)
  t.equal(check.others().withoutHost, 0)
  for (const target of ['//blog.example/', '/', '*', 'blog.example:443', '', 'http:///a'])
    t.notOk(check.isWanted({ host: undefined, target }), target)
  t.equal(check.others().withoutHost, 6)
})

t.test('other hosts are counted with bounded memory', async (t) => {
  const check = createHostCheck(['blog.example'])
  for (let i = 0; i < 1100; i++) check.isWanted({ host: `${i}.example`, target: '/' })
  check.isWanted({ host: '0.example', target: '/' })
  check.isWanted({ host: '1099.example', target: '/' })
  t.match(check.others().top[0], { host: '0.example', requests: 2 })
  t.equal(check.others().top[1]?.requests, 1)
})
