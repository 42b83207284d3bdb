import { randomUUID } from 'node:crypto'

/** The client address in the events. */
const CLIENT_ADDRESS = '203.0.113.7'

interface RequestOptions {
  method?: string
  headers?: Readonly<Record<string, string>>
  body?: string
  sourceIp?: string
}

/** The event of an HTTP API for a request, in payload format 2.0: a decoded path, and the unchanged query string. */
export function httpApiEvent(url: string, options: RequestOptions = {}) {
  const { method = 'GET', headers = {}, body, sourceIp = CLIENT_ADDRESS } = options
  const [path = '', ...rest] = url.split('?')
  const rawQueryString = rest.join('?')
  const parameters: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(rawQueryString))
    parameters[name] = name in parameters ? `${parameters[name]},${value}` : value
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: decodeURI(path),
    rawQueryString,
    headers: { host: 'api.example', 'x-forwarded-proto': 'https', 'x-forwarded-for': sourceIp, ...headers },
    ...(rawQueryString === '' ? {} : { queryStringParameters: parameters }),
    requestContext: {
      accountId: '000000000000',
      apiId: 'api',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp, userAgent: headers['user-agent'] ?? '' },
      requestId: randomUUID(),
      stage: '$default',
    },
    ...(body === undefined ? {} : { body }),
    isBase64Encoded: false,
  }
}

/** The reply of a handler. */
export interface HttpAnswer {
  statusCode: number
  headers: Record<string, string>
  body: string
}
