/** The fields used of an event of an HTTP API or a function URL (2.0), a REST API or an HTTP API (1.0), or a load balancer. */
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
  /** REST APIs send it beside `headers`; a load balancer with multi-value headers sends it in place of `headers`. */
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

/** The fields used of the reply of `@fastify/aws-lambda`. */
interface GatewayReply {
  headers: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
}

/**
 * Creates a function that normalizes an event so that `@fastify/aws-lambda` passes it on unchanged: the path with the
 * query string as the client sent it, single headers, and no `x-request-id` header of the client.
 *
 * A path may have a prefix, which is removed: an HTTP API puts its stage there, a custom domain its base path, and a rule of
 * a load balancer sends any path. The prefix is what stands before the first part that is a route.
 * @param routes the routes of the app, such as `/posts/:slug/views`.
 */
export function createNormalizer(routes: readonly string[]): (event: GatewayEvent) => GatewayEvent {
  const patterns = routes.map((route) => route.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/.]+/g, '[^/]+'))
  const route = new RegExp(`(?:${patterns.join('|')})$`)
  const withoutPrefix = (path: string) => route.exec(path)?.[0] ?? path

  return (event) => {
    assertRequest(event)
    const { rawPath, rawQueryString, path, queryStringParameters, multiValueQueryStringParameters, ...rest } = event
    const isBalancer = event.requestContext?.elb !== undefined
    const query = rawQueryString ?? queryOf(multiValueQueryStringParameters ?? queryStringParameters ?? {}, isBalancer)
    const headers = headersOf(event)
    const normal: GatewayEvent = {
      ...rest,
      path: withoutPrefix(rawPath === undefined ? (path ?? '/') : encoded(rawPath)) + (query === '' ? '' : `?${query}`),
      headers,
      multiValueHeaders: null,
    }
    // A load balancer appends the client's address to the `x-forwarded-for` header that the client sent.
    const sourceIp = headers['x-forwarded-for']?.split(',').at(-1)?.trim()
    if (isBalancer && sourceIp !== undefined)
      normal.requestContext = { ...event.requestContext, identity: { sourceIp } }
    return normal
  }
}

/** Converts a reply to what the sender of the event reads: a load balancer with multi-value headers reads no others. */
export function replyTo<T extends GatewayReply>(event: GatewayEvent, reply: T): T {
  if (event.requestContext?.elb === undefined || !event.multiValueHeaders) return reply
  const single = Object.entries(reply.headers).map(([name, value]) => [name, [value]] as const)
  return { ...reply, headers: {}, multiValueHeaders: { ...Object.fromEntries(single), ...reply.multiValueHeaders } }
}

/** @throws TypeError for an event that is no HTTP request. */
function assertRequest(event: unknown): void {
  const { httpMethod, requestContext } = (event ?? {}) as GatewayEvent
  if (requestContext !== undefined && (httpMethod ?? requestContext.http?.method) !== undefined) return
  const got =
    typeof event === 'object' && event !== null
      ? `an event with ${Object.keys(event).join(', ') || 'no fields'}`
      : String(event)
  throw new TypeError(
    `The function http expects a request of an HTTP API, a REST API, a function URL or a load balancer, got ${got}. A schedule calls the function flush.`,
  )
}

/** The headers by their names in lower case. The client's `x-request-id` is removed: logs contain the id of the gateway. */
function headersOf({ headers, multiValueHeaders }: GatewayEvent): Record<string, string | undefined> {
  const joined = Object.entries(multiValueHeaders ?? {}).map(
    ([name, values = []]) => [name, values.join(name.toLowerCase() === 'cookie' ? '; ' : ', ')] as const,
  )
  const all = [...Object.entries(headers ?? {}), ...joined].map(([name, value]) => [name.toLowerCase(), value] as const)
  return Object.fromEntries(all.filter(([name]) => name !== 'x-request-id'))
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
