/**
 * The names of the parts of a request in JSON logs, best first. A name with dots is a path, or has dots itself.
 * Sources: Caddy (`request.…`), nginx with `escape=json` and the names of its variables, Traefik (`ClientHost` …),
 * Cloudflare Logpush (`EdgeStartTimestamp` …), Fastly's and Envoy's examples, API Gateway, the Elastic Common Schema,
 * Google Cloud (`httpRequest.…`), pino-http (`req.…`, `res.…`), and what people call them.
 */
const NAMES = {
  address: [
    ...['request.client_ip', 'request.remote_ip', 'request.remote_addr', 'req.remoteAddress', 'httpRequest.remoteIp'],
    ...[
      'ClientIP',
      'ClientHost',
      'ClientAddr',
      'http_cf_connecting_ip',
      'client_ip',
      'clientIp',
      'clientip',
      'client.ip',
    ],
    ...[
      'source.ip',
      'remote_ip',
      'remoteIp',
      'remoteIP',
      'remote_addr',
      'remoteAddress',
      'remote_address',
      'remote_host',
    ],
    ...['downstream_remote_address', 'proxy.clientIp', 'ip', 'remote'],
  ],
  forwarded: [
    ...[
      'request.headers.X-Forwarded-For',
      'req.headers.x-forwarded-for',
      'request_X-Forwarded-For',
      'headers.x-forwarded-for',
    ],
    ...[
      'http_x_forwarded_for',
      'x_forwarded_for',
      'x-forwarded-for',
      'xForwardedFor',
      'forwarded_for',
      'xff',
      'http_x_real_ip',
    ],
  ],
  time: [
    ...[
      'StartUTC',
      'StartLocal',
      'EdgeStartTimestamp',
      'start_time',
      'ts',
      'msec',
      'time_iso8601',
      'time_local',
      '@timestamp',
    ],
    ...['timestamp', 'time', 'datetime', 'date_time', 'event_datetime', 'requestTime', 'date', 'proxy.timestamp'],
    ...['EdgeEndTimestamp', 'StartTime'],
  ],
  method: [
    ...[
      'request.method',
      'req.method',
      'RequestMethod',
      'ClientRequestMethod',
      'request_method',
      'requestMethod',
      'httpMethod',
    ],
    ...['http_method', 'method', 'verb', 'http.request.method', 'httpRequest.requestMethod', 'proxy.method'],
  ],
  target: [
    ...['request.uri', 'req.url', 'RequestPath', 'ClientRequestURI', 'ClientRequestPath', 'request_uri', 'requestUri'],
    ...[
      'request_url',
      'url.original',
      'url.path',
      'httpRequest.requestUrl',
      'proxy.path',
      'uri',
      'url',
      'request_path',
    ],
    ...['path', 'target'],
  ],
  query: ['args', 'query_string', 'queryString', 'query', 'url.query'],
  /** The whole request line. */
  request: ['request', 'request_line', 'requestLine', 'message'],
  status: [
    ...['status', 'status_code', 'statusCode', 'res.statusCode', 'response.status', 'response.statusCode'],
    ...['DownstreamStatus', 'EdgeResponseStatus', 'response_status', 'response_code', 'responseStatus', 'http_status'],
    ...['http.response.status_code', 'httpRequest.status', 'proxy.statusCode', 'OriginStatus'],
  ],
  referer: [
    ...['request.headers.Referer', 'req.headers.referer', 'request_Referer', 'ClientRequestReferer', 'http_referer'],
    ...[
      'request_referer',
      'referer',
      'referrer',
      'http_referrer',
      'http.request.referrer',
      'httpRequest.referer',
      'proxy.referer',
    ],
  ],
  /** `host` may be the machine that wrote the line. */
  host: [
    ...['request.host', 'req.headers.host', 'request.headers.Host', 'req.host', 'req.hostname', 'RequestHost'],
    ...['ClientRequestHost', 'http_host', 'request_host', 'requestHost', 'authority', ':authority', 'vhost'],
    ...['virtual_host', 'server_name', 'serverName', 'domain', 'domainName', 'url.domain', 'proxy.host', 'host'],
  ],
  /** All headers, if the log has them: a header that is not there was not sent. */
  headers: ['request.headers', 'req.headers'],
  agent: [
    ...['request.headers.User-Agent', 'req.headers.user-agent', 'request_User-Agent', 'ClientRequestUserAgent'],
    ...['http_user_agent', 'request_user_agent', 'user_agent', 'userAgent', 'useragent', 'user-agent', 'agent'],
    ...['user_agent.original', 'httpRequest.userAgent', 'proxy.userAgent', 'headers.user-agent'],
  ],
} as const satisfies Record<string, readonly string[]>

/** A name, and its parts if it is a path. */
export interface Name {
  name: string
  keys: readonly string[]
}

/** The part of a request. */
export type Part = keyof typeof NAMES

/** The names of each part. */
export const PARTS = Object.fromEntries(
  Object.entries(NAMES).map(([part, names]) => [part, names.map((name) => ({ name, keys: name.split('.') }))]),
) as unknown as Readonly<Record<Part, readonly Name[]>>
