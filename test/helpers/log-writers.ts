import type { SentRequest } from './log-hits.ts'

/** A format, as the programs that write it do. */
export interface LogWriter {
  /** Lines at the beginning. */
  head?: string[]
  /** The lines of a request. */
  write(request: SentRequest): string | string[]
  /** Whether the user agent is written. Default true. */
  hasAgent?: boolean
  /** The format string for `--format`. */
  format?: string
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')
const two = (number: number) => String(number).padStart(2, '0')
const PORT = 40_000

function offset(zone: number, colon = ''): string {
  const minutes = Math.abs(zone)
  return `${zone < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${colon}${two(minutes % 60)}`
}

function clf({ timeMs, zone }: SentRequest): string {
  const at = new Date(timeMs + zone * 60_000)
  const clock = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(':')
  return `${two(at.getUTCDate())}/${MONTHS[at.getUTCMonth()]}/${at.getUTCFullYear()}:${clock} ${offset(zone)}`
}

function iso({ timeMs, zone }: SentRequest): string {
  return new Date(timeMs + zone * 60_000).toISOString().slice(0, 19) + offset(zone, ':')
}

const utc = ({ timeMs }: SentRequest) => new Date(timeMs).toISOString()

/** The escapes of nginx: bytes as \xHH. */
function nginx(text: string): string {
  return text.replace(/[^ !#-[\]-~]/gu, (sign) =>
    [...Buffer.from(sign)].map((byte) => `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

const field = (text: string) => (text === '' ? '-' : nginx(text))
/** Apache writes quotes and backslashes with a backslash. */
const apache = (text: string) =>
  text === ''
    ? '-'
    : nginx(text)
        .replaceAll('\\x22', '\\"')
        .replaceAll('\\x5C', '\\\\')
        .replace(/\\x[C-E]./g, (hex) => hex.toLowerCase())
const line = ({ method, target }: SentRequest) => `${nginx(`${method} ${target}`)} HTTP/1.1`
const end = (one: SentRequest) => `[${clf(one)}] "${line(one)}" ${one.status} 512`
const combined = (one: SentRequest, address = one.address) =>
  `${address} - - ${end(one)} "${field(one.referer)}" "${field(one.agent)}"`
const percent = (text: string) =>
  text === '' ? '-' : encodeURIComponent(text).replace(/%(2F|3A|2C|3B|28|29|2B)/g, (hex) => decodeURIComponent(hex))
const withPort = (address: string) => (address.includes(':') ? `[${address}]:${PORT}` : `${address}:${PORT}`)
const json = (value: unknown) => JSON.stringify(value)
/** The date of syslog, in the zone of the server. */
function bsd({ timeMs }: SentRequest): string {
  const at = new Date(timeMs)
  return `${MONTHS[at.getUTCMonth()]} ${String(at.getUTCDate()).padStart(2)} ${at.toISOString().slice(11, 19)}`
}

function caddy(one: SentRequest): string {
  const headers: Record<string, string[]> = { Accept: ['*/*'] }
  if (one.agent !== '') headers['User-Agent'] = [one.agent]
  if (one.referer !== '') headers['Referer'] = [one.referer]
  const request = { remote_ip: '10.0.0.9', remote_port: '4711', client_ip: one.address, proto: 'HTTP/2.0' }
  const sent = { ...request, method: one.method, host: 'blog.example', uri: one.target, headers }
  const head = { level: 'info', ts: one.timeMs / 1000 + 0.25, logger: 'http.log.access.log0', msg: 'handled request' }
  return json({ ...head, request: sent, bytes_read: 0, duration: 0.0009, size: 10900, status: one.status })
}

function nginxJson(one: SentRequest): string {
  const { method, address, status, referer, agent } = one
  const head = {
    time_local: clf(one),
    remote_addr: address,
    remote_user: '',
    request: `${method} ${one.target} HTTP/1.1`,
  }
  return json({ ...head, status: String(status), body_bytes_sent: '1', http_referer: referer, http_user_agent: agent })
}

function haproxy(one: SentRequest): string {
  const at = new Date(one.timeMs)
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
  const date = `${two(at.getDate())}/${MONTHS[at.getMonth()]}/${at.getFullYear()}:${clock}.250`
  const hash = (text: string) =>
    text.replace(/[^ !$-z~]/gu, (sign) =>
      [...Buffer.from(sign)].map((byte) => `#${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
  const request = `${one.method} ${hash(one.target)} HTTP/1.1`
  return `${one.address}:${PORT} [${date}] http-in static/srv1 10/0/30/69/109 ${one.status} 2750 - - ---- 1/1/1/1/0 0/0 {blog.example|${hash(one.agent)}} {} "${request}"`
}

function fastify(one: SentRequest, index: number): string[] {
  const head = { level: 30, time: one.timeMs, pid: 1, hostname: 'web', reqId: `req-${index.toString(36)}` }
  const req = {
    method: one.method,
    url: one.target,
    host: 'blog.example',
    remoteAddress: one.address,
    remotePort: PORT,
  }
  return [
    json({ ...head, req, msg: 'incoming request' }),
    json({
      ...head,
      time: one.timeMs + 5,
      res: { statusCode: one.status },
      responseTime: 4.5,
      msg: 'request completed',
    }),
  ]
}

function pinoHttp(one: SentRequest): string {
  const headers: Record<string, string> = { host: 'blog.example' }
  if (one.agent !== '') headers['user-agent'] = one.agent
  if (one.referer !== '') headers['referer'] = one.referer
  const req = { id: 1, method: one.method, url: one.target, headers, remoteAddress: one.address, remotePort: PORT }
  const head = { level: 30, time: one.timeMs, pid: 1, hostname: 'web' }
  return json({ ...head, req, res: { statusCode: one.status, headers: {} }, responseTime: 1, msg: 'request completed' })
}

function cloudFront(one: SentRequest): string {
  const [path = '', query = '-'] = one.target.split('?')
  const [day, time] = utc(one).slice(0, 19).split('T')
  const escaped = (text: string) => text.replaceAll('%', '%25')
  return [
    ...[
      day,
      time,
      'FRA2-C1',
      2390,
      one.address,
      one.method,
      'd111111abcdef8.cloudfront.net',
      escaped(path),
      one.status,
    ],
    ...[percent(one.referer), percent(one.agent), escaped(query), '-', 'Hit', 'request-id=='],
  ].join('\t')
}

function iis(one: SentRequest): string {
  const [path = '', query = '-'] = one.target.split('?')
  const [day, time] = utc(one).slice(0, 19).split('T')
  const agent = one.agent === '' ? '-' : one.agent.replaceAll(' ', '+')
  // IIS writes the decoded path.
  const stem = decoded(path).replaceAll(' ', '%20')
  const referer = one.referer === '' ? '-' : one.referer
  return `${day} ${time} 10.0.0.4 ${one.method} ${stem} ${query} 443 - ${one.address} ${agent} ${referer} ${one.status} 0 0 15`
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

let requests = 0

/** All formats by name. */
export const WRITERS: Readonly<Record<string, LogWriter>> = {
  combined: { write: combined },
  common: { write: (one) => `${one.address} - frank ${end(one)}`, hasAgent: false },
  'combined of Apache': {
    write: (one) => `${one.address} - - ${end(one)} "${apache(one.referer)}" "${apache(one.agent)}"`,
  },
  'vhost_combined of Apache': { write: (one) => `blog.example:443 ${combined(one)}` },
  'a virtual host that is an address': { write: (one) => `192.0.2.80:443 ${combined(one)}` },
  'common with a virtual host': { write: (one) => `blog.example:443 ${one.address} - - ${end(one)}`, hasAgent: false },
  'addresses with ports': { write: (one) => combined(one, withPort(one.address)) },
  'a list of addresses': { write: (one) => combined(one, `${one.address}, 10.0.0.4`) },
  'a time of ISO 8601': { write: (one) => combined(one).replace(clf(one), iso(one)) },
  'fields after the user agent': { write: (one) => `${combined(one)} "blog.example" 0.003 rt="0.002" "10.0.0.8:80"` },
  'the duration before the referer': {
    write: (one) => `${one.address} - - ${end(one)} 1234 "${field(one.referer)}" "${field(one.agent)}"`,
  },
  'a proxy, and the reader in X-Forwarded-For': { write: (one) => `${combined(one, '172.18.0.1')} "${one.address}"` },
  'a socket, and the reader in X-Forwarded-For': {
    write: (one) => `${combined(one, 'unix:')} 0.002 "10.1.1.1, ${one.address}, 198.51.100.99"`,
  },
  'ingress-nginx': {
    write: (one) =>
      `${combined(one)} 428 0.011 [blog-web-80] [] 10.244.0.7:8080 150 0.011 ${one.status} 0123456789abcdef`,
  },
  Traefik: { write: (one) => `${combined(one)} 77 "blog@docker" "http://172.18.0.3:80" 3ms` },
  'syslog, RFC 3164': { write: (one) => `<190>${bsd(one)} 10.0.0.1 nginx: ${combined(one)}` },
  'syslog, RFC 3164, without a host': { write: (one) => `<190>${bsd(one)} nginx: ${combined(one)}` },
  'syslog, RFC 5424': { write: (one) => `<190>1 ${iso(one)} 10.0.0.1 nginx - - - ${combined(one)}` },
  'syslog, RFC 5424, structured data': {
    write: (one) => `<190>1 ${utc(one)} web-1 httpd 77 access [a@1 k="v \\] 1.2.3.4 - - ["][b@1] ${combined(one)}`,
  },
  'rsyslog, host names as addresses': {
    write: (one) => `${utc(one)} web-1 httpd[77]: ${combined(one, `${one.visitor}.readers.example`)}`,
  },
  'docker compose logs': { write: (one) => `\u001b[36mweb-1  | \u001b[0m${combined(one)}` },
  'docker compose logs --timestamps': { write: (one) => `web_1  | ${utc(one)} ${combined(one)}` },
  'json-file of Docker': {
    write: (one) => json({ log: `${combined(one)}\n`, stream: 'stdout', time: utc(one) }),
  },
  'CRI of Kubernetes': { write: (one) => `${utc(one).replace('Z', '123456Z')} stdout F ${combined(one)}` },
  'kubectl logs --prefix': { write: (one) => `[pod/web-7f/nginx] ${combined(one)}` },
  'journalctl -o json': {
    write: (one) => json({ __REALTIME_TIMESTAMP: `${one.timeMs}000`, _HOSTNAME: '10.0.0.1', MESSAGE: combined(one) }),
  },
  'journalctl -o json, bytes': { write: (one) => json({ MESSAGE: [...Buffer.from(combined(one))] }) },
  'journalctl -o short': { write: (one) => `${bsd(one)} web-1 nginx[12]: ${combined(one)}` },
  'journalctl -o short-iso': {
    write: (one) => `${iso(one).replace(/:(\d\d)$/, '$1')} web-1 nginx[12]: ${combined(one)}`,
  },
  'journalctl -o short-full': {
    write: (one) => `Thu ${utc(one).slice(0, 10)} 10:05:03 UTC web-1 nginx[12]: ${combined(one)}`,
  },
  'journalctl -o short-unix': { write: (one) => `${one.timeMs / 1000}.250000 web-1 nginx[12]: ${combined(one)}` },
  Caddy: { write: caddy },
  'Caddy in Docker': { write: (one) => json({ log: `${caddy(one)}\n`, stream: 'stderr', time: utc(one) }) },
  'nginx, escape=json': { write: nginxJson },
  'nginx, JSON without escape=json': {
    write: (one) =>
      `{"@timestamp":"${iso(one)}","client":"10.0.0.1","remote_addr":"${one.address}","request_method":"${one.method}","uri":"${one.target.split('?')[0]}","args":"${one.target.split('?')[1] ?? ''}","status":${one.status},"http_user_agent":"${field(one.agent)}","http_referer":"${field(one.referer)}"}`,
  },
  'Apache, JSON': {
    write: (one) =>
      `{"time":"[${clf(one)}]","remoteIP":"${one.address}","request":"${one.target.split('?')[0]}","query":"${one.target.includes('?') ? `?${one.target.split('?')[1]}` : ''}","method":"${one.method}","status":"${one.status}","userAgent":"${apache(one.agent)}","referer":"${apache(one.referer)}"}`,
  },
  'Traefik, JSON': {
    write: (one) =>
      json({
        ClientAddr: `10.0.0.1:${PORT}`,
        ClientHost: one.address,
        DownstreamStatus: one.status,
        OriginStatus: 0,
        RequestHost: 'blog.example',
        RequestMethod: one.method,
        RequestPath: one.target,
        StartUTC: utc(one),
        'request_User-Agent': one.agent,
        time: utc({ ...one, timeMs: one.timeMs + 5 }),
      }),
  },
  'Traefik, JSON without headers': {
    write: (one) =>
      json({
        ClientHost: one.address,
        DownstreamStatus: one.status,
        RequestMethod: one.method,
        RequestPath: one.target,
        StartUTC: utc(one),
        level: 'info',
        msg: '',
      }),
    hasAgent: false,
  },
  'Cloudflare Logpush': {
    write: (one) =>
      json({
        ClientIP: one.address,
        ClientRequestHost: 'blog.example',
        ClientRequestMethod: one.method,
        ClientRequestURI: one.target,
        ClientRequestUserAgent: one.agent,
        ClientRequestReferer: one.referer,
        EdgeResponseStatus: one.status,
        EdgeStartTimestamp: utc(one).replace('.000', ''),
        RayID: '3a6050bcbe121a87',
      }),
  },
  'Cloudflare Logpush, nanoseconds': {
    write: (one) =>
      json({
        ClientIP: one.address,
        ClientRequestMethod: one.method,
        ClientRequestURI: one.target,
        ClientRequestUserAgent: one.agent,
        EdgeResponseStatus: one.status,
        EdgeStartTimestamp: one.timeMs * 1e6,
      }),
  },
  Fastly: {
    write: (one) =>
      json({
        timestamp: iso(one).replace(/:(\d\d)$/, '$1'),
        client_ip: one.address,
        host: 'blog.example',
        url: one.target,
        request_method: one.method,
        request_referer: one.referer,
        request_user_agent: one.agent,
        response_status: one.status,
        response_body_size: 512,
        fastly_is_edge: true,
      }),
  },
  'Envoy, JSON': {
    write: (one) =>
      json({
        start_time: utc(one),
        method: one.method,
        path: one.target,
        protocol: 'HTTP/1.1',
        response_code: one.status,
        user_agent: one.agent === '' ? null : one.agent,
        x_forwarded_for: one.address,
        duration: 5,
        downstream_remote_address: `10.0.0.1:${PORT}`,
        authority: 'blog.example',
        upstream_host: '10.0.2.1:80',
      }).replace('"user_agent":null', '"user_agent":"-"'),
  },
  Envoy: {
    write: (one) =>
      `[${utc(one)}] "${one.method} ${one.target} HTTP/2" ${one.status} - 154 0 226 100 "${one.address},10.0.0.2" "${one.agent === '' ? '-' : one.agent}" "cc21d9b0-cf5c" "blog.example" "10.0.2.1:80"`,
  },
  Istio: {
    write: (one) =>
      `[${utc(one)}] "${one.method} ${one.target} HTTP/1.1" ${one.status} - via_upstream - "-" 0 135 4 4 "${one.address}" "${one.agent === '' ? '-' : one.agent}" "92c3" "blog" "10.0.2.1:80" outbound|80||blog 10.0.0.1:1 10.0.0.2:80 10.0.0.3:2 - default`,
  },
  Fastify: { write: (one) => fastify(one, requests++), hasAgent: false },
  'pino-http': { write: pinoHttp },
  'Elastic Common Schema': {
    write: (one) =>
      json({
        '@timestamp': utc(one),
        'source.ip': one.address,
        user_agent: { original: one.agent },
        http: { request: { method: one.method }, response: { status_code: one.status } },
        url: { original: `https://blog.example${one.target}` },
      }),
  },
  'Google Cloud': {
    write: (one) =>
      json({
        httpRequest: {
          requestMethod: one.method,
          requestUrl: `https://blog.example${one.target}`,
          status: one.status,
          userAgent: one.agent,
          remoteIp: one.address,
          referer: one.referer,
        },
        timestamp: utc(one),
      }),
  },
  IIS: {
    head: [
      ...['#Software: Microsoft Internet Information Services 10.0', '#Version: 1.0', '#Date: 2024-02-28 22:00:00'],
      '#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken',
    ],
    write: iis,
  },
  CloudFront: {
    head: [
      '#Version: 1.0',
      '#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id',
    ],
    write: cloudFront,
  },
  'CloudFront, JSON': {
    write: (one) => {
      const [date, time, , , ip, method, , stem, status, , agent, query] = cloudFront(one).split('\t')
      return json({
        date,
        time,
        'c-ip': ip,
        'cs-method': method,
        'cs-uri-stem': stem,
        'sc-status': status,
        'cs(User-Agent)': agent,
        'cs-uri-query': query,
      })
    },
  },
  'Application Load Balancer': {
    write: (one) =>
      `h2 ${utc(one)} app/my-lb/50dc6c495c0c9188 ${one.address}:${PORT} 10.0.1.252:48160 0.000 0.002 0.000 ${one.status} 200 5 257 "${one.method} https://blog.example:443${one.target} HTTP/2.0" "${apache(one.agent)}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337327" "blog.example" "arn:aws:y" 1 ${utc(one)} "forward" "-" "-" "10.0.1.252:48160" "200" "-" "-" TID_1`,
  },
  'Classic Load Balancer': {
    write: (one) =>
      `${utc(one)} my-lb ${one.address}:${PORT} 10.0.0.1:80 0.000073 0.001048 0.000057 ${one.status} 200 0 29 "${one.method} https://blog.example:443${one.target} HTTP/1.1" "${apache(one.agent)}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2`,
  },
  S3: {
    write: (one) =>
      `79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be blog.example [${clf(one)}] ${one.address} - 3E57427F3EXAMPLE WEBSITE.GET.OBJECT key "${line(one)}" ${one.status} - 113 - 7 - "${apache(one.referer)}" "${apache(one.agent)}" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2= - ECDHE-RSA-AES128-GCM-SHA256 - blog.example TLSV1.2 - -`,
  },
  HAProxy: { write: haproxy },
  'HAProxy in syslog': { write: (one) => `${bsd(one)} lb haproxy[14389]: ${haproxy(one)}` },
  'a log_format of nginx': {
    write: (one) =>
      `blog.example|${iso(one)}|0.003|203.0.113.99|"${line(one)}"|${one.status}|"${field(one.agent)}"|${one.address}`,
    format:
      '$host|$time_iso8601|$request_time|$remote_addr|"$request"|$status|"$http_user_agent"|$http_cf_connecting_ip',
  },
  'a directive log_format': {
    write: (one) =>
      `${one.timeMs / 1000}.250 ${one.method} ${one.target} ${one.status} ${one.address} "${field(one.agent)}"`,
    format: `log_format own escape=default '\${msec} $request_method $request_uri '\n  '$status $remote_addr "$http_user_agent"';`,
  },
  'a log_format with escape=json': {
    write: (one) =>
      `{"wann": "${iso(one)}", "wer": "${one.address}", "was": ${json(`${one.method} ${one.target} HTTP/1.1`)}, "wie": ${one.status}, "womit": ${json(one.agent)}}`,
    format:
      '{"wann": "$time_iso8601", "wer": "$remote_addr", "was": "$request", "wie": $status, "womit": "$http_user_agent"}',
  },
  'a LogFormat of Apache': {
    write: (one) =>
      `${one.status} [${clf(one)}] ${one.address} 172.18.0.1 "${one.method} ${one.target} HTTP/1.1" 33% "${apache(one.agent)}"`,
    format: String.raw`LogFormat "%>s %t %{X-Forwarded-For}i %h \"%m %U%q %H\" %D%% \"%{User-Agent}i\"" own`,
  },
  'a LogFormat with strftime': {
    write: (one) => {
      const [date, clock, hour, minute, second, zone] = clf(one)
        .split(/[: ]/)
        .flatMap((part, index) => (index === 0 ? [part, ''] : [part]))
      return `${one.address}\t${date}${clock} ${hour}:${minute}:${second}\t${zone}\t${one.method} ${one.target} HTTP/1.1\t${one.status}\t${apache(one.agent)}`
    },
    format: '%a\\t%{%d/%b/%Y %T}t\\t%{%z}t\\t%r\\t%>s\\t%{User-agent}i',
  },
}
