import t from 'tap'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { sendBytes, statusOf } from '../helpers/send-bytes.ts'

const ADMIN_TOKEN = 'the-admin-token-of-this-test'
/** The client address from a proxy, which must not be in a log. */
const CLIENT = '203.0.113.'

/** Texts that must not be in a reply or in the log. */
const LEAKS = {
  'the admin token': new RegExp(ADMIN_TOKEN),
  'a stack': /\n? {4}at |\.[jt]s:\d+:\d+/,
  'a path of this machine': /node_modules|\/wt-|file:\/\//,
  'an address of the database': /postgres(?:ql)?:\/\//,
  SQL: /\bselect .+ from /i,
}

/** Hostile values for a URL. */
const VALUES = [
  ...["'--", "1';drop table posts;--", '1 or 1=1', '$(id)', '`id`', ';id', '|id', '{{7*7}}', '#{7*7}', '<%=7*7%>'],
  ...['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', 'javascript:alert(1)', '../../../../etc/passwd'],
  ...['http://169.254.169.254/latest/meta-data', 'EVAL "return 1" 0', '*', '{', '}', '{blog:popular}:gen', '__proto__'],
  ...[
    'constructor',
    'toString',
    '{"$gt":""}',
    '[object Object]',
    'true',
    'null',
    'NaN',
    '-1',
    '1e999',
    '9'.repeat(400),
  ],
  ...['a'.repeat(199), 'a'.repeat(201), 'ä'.repeat(150), '𝕏'.repeat(99), '\u202e\u0000\ufeff', 'ｆｕｌｌ', '\r\nx: y'],
  // Input that makes careless regular expressions slow.
  ...[
    `${'a'.repeat(3000)}!`,
    `${'0'.repeat(3000)}x`,
    ` ${' '.repeat(3000)}x`,
    `${'/'.repeat(3000)}x`,
    `${'a,'.repeat(1500)}\n`,
  ],
].map(encodeURIComponent)
const BROKEN = [
  '%',
  '%0',
  '%zz',
  '%00',
  '%c0%ae',
  '%ed%a0%80',
  '%ff',
  '%0d%0aSet-Cookie:%20x=y',
  '%252e%252e',
  '%u0041',
]
const QUERIES = [
  ...[
    '__proto__[polluted]=1',
    '__proto__.polluted=1',
    'constructor[prototype][polluted]=1',
    'constructor.prototype.polluted=1',
  ],
  ...[
    'limit=1&limit=2',
    'limit[]=1',
    'exclude[0]=a',
    'exclude=a&exclude=b',
    'days[$gt]=1',
    'mode=hard&mode=soft',
    'mode[]=hard',
  ],
  ...['&'.repeat(2000), 'a='.repeat(2000), `${'x&'.repeat(1500)}limit=1`, '=', '&=&', '?', '#', 'limit', 'limit='],
]
const NAMES = ['limit', 'days', 'sort', 'category', 'tag', 'author', 'exclude', 'mode', 'x']
const BODIES: [string, string][] = [
  ...['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '{"mode":{"__proto__":1}}'].map(
    (body): [string, string] => ['application/json', body],
  ),
  ...['', '{', '[', 'null', '"hard"', '[]', '1e999', '{"mode":"x\\u0000"}', '['.repeat(900), '\xff\xfe', '\0'].map(
    (body): [string, string] => ['application/json', body],
  ),
  ['application/json', `{"mode":"${'x'.repeat(20_000)}"}`],
  ['application/json; charset=utf-7', '{}'],
  ['application/x-www-form-urlencoded', 'mode=hard&__proto__[polluted]=1'],
  ['multipart/form-data; boundary=x', '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--'],
  ['text/xml', '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>'],
  ['text/plain', 'x'],
  ['', 'x'],
  ['nonsense', 'x'],
  ['a/b;'.repeat(1000), 'x'],
]
const HEADERS = [
  ...[
    'Authorization: Bearer',
    'Authorization: Bearer \xff',
    `Authorization: Bearer ${'x'.repeat(7000)}`,
    'Authorization: Basic eA==',
  ],
  ...[`Authorization: Bearer ${ADMIN_TOKEN.slice(0, -1)}`, `Authorization: bearer ${ADMIN_TOKEN}x`],
  ...['If-None-Match: *', `If-None-Match: ${'W/"x", '.repeat(1000)}`, `If-None-Match: "${'"'.repeat(3000)}`],
  ...[
    'Range: bytes=0-0,1-1',
    'Accept: */*;q=x',
    'Accept-Encoding: gzip;q=1,*;q=0',
    'Origin: null',
    'Origin: https://evil.example',
  ],
  ...[
    'X-Forwarded-For: <script>',
    `X-Forwarded-For: ${'1,'.repeat(3000)}`,
    'X-Forwarded-For: ::ffff:999.1.1.1',
    'X-Forwarded-Host: evil.example',
  ],
  ...[
    'User-Agent: () { :; }; id',
    `User-Agent: ${'Mozilla/'.repeat(1500)}`,
    `User-Agent: ${'bot '.repeat(2000)}!`,
    'User-Agent: \x80',
  ],
  ...[
    'Cookie: __proto__=1',
    'X-HTTP-Method-Override: DELETE',
    'Expect: 100-continue',
    'Upgrade: websocket\r\nConnection: Upgrade',
  ],
  ...[
    'Transfer-Encoding: xchunked',
    'Content-Length: 1\r\nContent-Length: 2',
    'Content-Length: -1',
    ' Folded: x',
    'No colon',
    'Nul: \0',
  ],
  ...[
    `X-Long: ${'x'.repeat(20_000)}`,
    `${'X-Many: x\r\n'.repeat(2500)}X: x`,
    'X-Split: a\rSet-Cookie: x=y',
    'X-Split: a\nSet-Cookie: x=y',
  ],
  ...['X-Request-Id: \x1b[31m{"level":60}', 'Traceparent: 00-zz-zz-zz', 'Host: evil.example', 'Host: a\r\nHost: b'],
]

interface Route {
  method: string
  url: string
}

/** Every route of the service. */
async function routesOf(t: Parameters<typeof createService>[0], databaseUrl: string): Promise<Route[]> {
  const app = await createService(t, databaseUrl, { ADMIN_TOKEN })
  await app.ready()
  const lines = app.printRoutes({ commonPrefix: false }).split('\n')
  const open: string[] = []
  return lines.flatMap((line) => {
    const [, indent = '', path = '', methods] = /^([│ ]*[├└]── )(\S*)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    if (indent === '') return []
    open.length = indent.length / 4 - 1
    open.push(path)
    return (methods?.split(', ') ?? []).map((method) => ({ method, url: open.join('') }))
  })
}

/** The requests to a route, each with one hostile value. */
function* attacksOn({ method, url }: Route): Generator<string> {
  let client = 0
  const request = (target: string, headers: readonly string[] = [], body = '') => {
    client += 1
    // Each from another client, because otherwise the rate limit of one address would end the test.
    const forwarded = headers.some((header) => /^X-Forwarded-For/.test(header))
      ? []
      : [`X-Forwarded-For: ${CLIENT}${client % 250}`]
    const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`]
    const lines = [
      'Host: blog.example',
      'User-Agent: Mozilla/5.0 (X11; Linux) Firefox/129.0',
      ...forwarded,
      ...length,
      ...headers,
    ]
    return `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`
  }
  const withParameter = (value: string) => url.replace(/:\w+|\*/, value)
  const plain = withParameter('post-1')
  yield request(plain)
  const values = [...VALUES, ...BROKEN]
  if (plain !== url) for (const value of values) yield request(withParameter(value))
  for (const [index, value] of values.entries())
    yield request(`${plain}?${NAMES[index % NAMES.length]}=${value}&${value}=1`)
  for (const query of QUERIES) yield request(`${plain}?${query}`)
  for (const header of HEADERS) yield request(plain, [header])
  const allowed = method === 'POST' ? [[], [`Authorization: Bearer ${ADMIN_TOKEN}`]] : [[]]
  for (const [type, body] of BODIES)
    for (const more of allowed)
      yield request(`${plain}?mode=none`, [...(type === '' ? [] : [`Content-Type: ${type}`]), ...more], body)
  yield request(`${plain}${'/x'.repeat(3000)}`)
  yield request(`${plain}?${'x'.repeat(15_000)}`)
}

t.test('hostile input to any route causes no 5xx and reveals no details', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const routes = await routesOf(t, url)
  for (const path of ['/posts/popular', '/posts/popular/invalidate', '/posts/:slug/views', '/health/ready'])
    t.ok(
      routes.some((route) => route.url === path),
      `${path} is among ${routes.length} routes`,
    )

  const service = runProgram(t, 'server.ts', {
    env: {
      DATABASE_URL: url,
      PORT: '0',
      ADMIN_TOKEN,
      LOG_LEVEL: 'debug',
      TRUST_PROXY: 'loopback',
      CORS_ORIGIN: 'https://a.example',
    },
    isCovered: false,
  })
  const [, port = ''] = await service.says(/, on http:\/\/127\.0\.0\.1:(\d+)\n/)
  const list = async () =>
    (await sendBytes(Number(port), 'GET /posts/popular HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).split(
      '\r\n\r\n',
    )[1]
  const before = await list()

  for (const route of routes) {
    await t.test(`${route.method} ${route.url}`, async (t) => {
      let answered = 0
      const statuses = new Set<number>()
      for (const bytes of attacksOn(route)) {
        const answer = (await sendBytes(Number(port), bytes)).replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
        const status = statusOf(answer)
        statuses.add(status)
        if (status > 0) answered += 1
        const [head = '', body = ''] = answer.split(/\r\n\r\n/, 2)
        const told = `${status} for ${JSON.stringify(bytes.slice(0, 200))}`
        const isPage = /^content-type: text\/html/im.test(head)
        const isOurs = /^x-content-type-options: nosniff\r$/im.test(head)
        if (status >= 500 || status === 0) t.fail(told)
        if (/^(?:set-cookie|x: y)/im.test(head)) t.fail(`a header was split: ${told}`)
        // Bytes that are not HTTP get no reply to a request.
        if (!isOurs && !/"message":"(?:Client Error|Exceeded maximum allowed HTTP header size)"/.test(body))
          t.fail(`not as all answers are: ${told}`)
        if (isOurs && status >= 400 && route.method !== 'HEAD' && !isPage && !body.startsWith('{"statusCode":'))
          t.fail(`${body.slice(0, 80)}: ${told}`)
        if (isPage && /<script>alert|<img src=x/.test(body)) t.fail(`markup is taken over: ${told}`)
        for (const [what, pattern] of Object.entries(LEAKS)) if (pattern.test(answer)) t.fail(`${what}: ${told}`)
      }
      t.ok(answered > 100, `${answered} answers: ${[...statuses].sort().join(', ')}`)
    })
  }

  t.equal(await list(), before, 'the list is what it was')
  await service.stop()
  const [, log = ''] = service.stdout().split(/--create-posts\n+/)
  const lines = log.trim().split('\n')
  t.ok(lines.length > 1000, `${lines.length} lines were logged`)
  for (const line of lines) {
    // A line injected by a client would not be JSON, or have another name or level than ours.
    const { level, pid, msg } = JSON.parse(line) as Record<string, unknown>
    if (level === 60 || level === 50 || pid !== service.child.pid || typeof msg !== 'string') t.fail(line)
    for (const [what, pattern] of Object.entries(LEAKS)) if (pattern.test(line)) t.fail(`${what}: ${line}`)
    if (line.includes(CLIENT)) t.fail(`a client's address: ${line}`)
  }
  t.equal(service.stderr(), '')
})

t.test('no input changes Object.prototype', async (t) => {
  const { url } = await createTestDatabase(t)
  const app = await createService(t, url, { ADMIN_TOKEN })
  for (const query of QUERIES) await app.inject(`/posts/popular?${query}`)
  for (const [type, payload] of BODIES)
    await app.inject({
      method: 'POST',
      url: '/posts/popular/invalidate?mode=none',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': type },
      payload,
    })
  t.notOk('polluted' in {})
})
