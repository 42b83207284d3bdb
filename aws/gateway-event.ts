/** The fields used of an event of an HTTP API or a function URL (2.0), a REST API (1.0), or a load balancer. */
export interface GatewayEvent {
  version?: string
  /** 2.0 */
  rawPath?: string
  rawQueryString?: string
  /** 1.0, and load balancers. */
  path?: string
  httpMethod?: string
  queryStringParameters?: Record<string, string | undefined> | null
  multiValueQueryStringParameters?: Record<string, string[] | undefined> | null
  multiValueHeaders?: Record<string, string[] | undefined> | null
  headers?: Record<string, string | undefined> | null
  body?: string | null
  isBase64Encoded?: boolean
  requestContext?: {
    requestId?: string
    elb?: object
    http?: { method?: string; sourceIp?: string }
    identity?: { sourceIp?: string }
  }
}

/**
 * Normalizes an event so that `@fastify/aws-lambda` passes it on unchanged: the path with the query string as the
 * client sent it, and no `x-request-id` header of the client.
 */
export function normalize(event: GatewayEvent): GatewayEvent {
  const { rawPath, rawQueryString, path, queryStringParameters, multiValueQueryStringParameters, ...rest } = event
  const isBalancer = event.requestContext?.elb !== undefined
  const query = rawQueryString ?? queryOf(multiValueQueryStringParameters ?? queryStringParameters ?? {}, isBalancer)
  const normal: GatewayEvent = {
    ...rest,
    path: (rawPath === undefined ? (path ?? '/') : encoded(rawPath)) + (query === '' ? '' : `?${query}`),
    headers: known(event.headers ?? {}),
    requestContext: { ...event.requestContext },
  }
  // A load balancer appends the client's address to the `x-forwarded-for` header that the client sent.
  const claims = event.multiValueHeaders?.['x-forwarded-for']?.at(-1) ?? event.headers?.['x-forwarded-for']
  const sourceIp = claims?.split(',').at(-1)?.trim()
  if (isBalancer && sourceIp !== undefined) normal.requestContext = { ...event.requestContext, identity: { sourceIp } }
  return normal
}

/** Removes the client's `x-request-id`: logs contain the id of the gateway. */
function known(headers: NonNullable<GatewayEvent['headers']>): NonNullable<GatewayEvent['headers']> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'x-request-id'))
}

/** An HTTP API decodes the path of 2.0 events, a function URL does not. */
function encoded(path: string): string {
  if (/%[0-9a-f]{2}/i.test(path)) return path
  return encodeURI(path).replace(/[?#]/g, encodeURIComponent)
}

/**
 * The query string of an event that has none. A load balancer passes names and values encoded, a REST API decodes them.
 */
function queryOf(parameters: Record<string, string | string[] | undefined>, isEncoded: boolean): string {
  const encode = isEncoded ? (text: string) => text : encodeURIComponent
  return Object.entries(parameters)
    .flatMap(([name, values]) => [values ?? []].flat().map((value) => `${encode(name)}=${encode(value)}`))
    .join('&')
}
