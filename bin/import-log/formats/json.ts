import { agentOf, parseRequestLine, refererOf } from './fields.ts'
import { type Name, PARTS, type Part } from './json-names.ts'
import { type JsonObject, parseJsonLine, textOf, valueAt } from './json-object.ts'
import { createPinoPairs } from './pino-pairs.ts'
import { readerOf } from './readers.ts'
import type { LineReader, LoggedRequest } from './request.ts'
import { parseTime, rememberingLast } from './times.ts'
import { requestOfW3c } from './w3c.ts'

/** Creates a reader of JSON lines: each line is an object with the parts of a request under usual names. */
export function createJsonReader(): LineReader {
  const timeOf = rememberingLast(parseTime)
  const pairs = createPinoPairs()
  return (line) => {
    const parsed = parseJsonLine(line)
    if (parsed === undefined) return undefined
    if (typeof parsed['cs-method'] === 'string') return requestOfW3c((name) => textOf(parsed[name]), true, timeOf)
    const object = pairs.join(parsed)
    return object === null ? null : requestOf(object, timeOf)
  }
}

function requestOf(object: JsonObject, timeOf: (text: string) => number | undefined): LoggedRequest | undefined {
  const find = (part: Part) => first(PARTS[part], (name) => textOf(valueAt(object, name)))
  const status = find('status')
  const timeMs = first(PARTS.time, (name) => timeOf(textOf(valueAt(object, name)) ?? ''))
  const line = find('request')
  const { method, target } = requestLineOf(line, find)
  const forwarded = PARTS.forwarded.flatMap((name) => textOf(valueAt(object, name)) ?? [])
  const address =
    first(PARTS.address, (name) => textOf(valueAt(object, name))?.replace(/^-?$/, '') || undefined) ?? forwarded[0]
  if (status === undefined || !/^\d{1,3}$/.test(status) || timeMs === undefined || address === undefined)
    return undefined
  if (method === undefined) return undefined
  const hasHeaders = PARTS.headers.some((name) => valueAt(object, name) !== undefined)
  const agent = find('agent') ?? (hasHeaders ? '' : undefined)
  return {
    address: readerOf(address, forwarded),
    timeMs,
    method,
    target,
    status: Number(status),
    host: find('host'),
    referer: refererOf(find('referer') || '-'),
    userAgent: agent === undefined ? undefined : agentOf(agent),
  }
}

/** @returns no method, if the object is no request. */
function requestLineOf(
  line: string | undefined,
  find: (part: 'method' | 'target' | 'query') => string | undefined,
): { method: string | undefined; target: string } {
  const [method, target] = [find('method'), find('target')]
  if (method !== undefined && target !== undefined) return { method, target: withQuery(target, find('query')) }
  // Apache's `%U` is a path.
  if (method !== undefined && line?.startsWith('/') === true) return { method, target: withQuery(line, find('query')) }
  return line === undefined ? { method: undefined, target: '' } : parseRequestLine(line)
}

function withQuery(target: string, query = ''): string {
  return query === '' || query === '-' || target.includes('?') ? target : `${target}?${query.replace(/^\?/, '')}`
}

function first<R>(names: readonly Name[], read: (name: Name) => R | undefined): R | undefined {
  for (const name of names) {
    const value = read(name)
    if (value !== undefined) return value
  }
  return undefined
}
