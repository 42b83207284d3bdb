import { unescapeField } from './fields.ts'
import type { Name } from './json-names.ts'

/** An object of JSON. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Parses an object; `undefined`: the line is none. */
export function parseJsonLine(line: string): JsonObject | undefined {
  if (!line.startsWith('{')) return undefined
  // nginx without `escape=json` writes \xhh, which JSON does not have.
  return parse(line) ?? parse(line.replace(HEX, (bytes) => JSON.stringify(unescapeField(bytes)).slice(1, -1)))
}

const HEX = /(?:\\x[\dA-F]{2})+/gi

function parse(text: string): JsonObject | undefined {
  try {
    return JSON.parse(text) as JsonObject
  } catch {
    return undefined
  }
}

/** The value under a name, or at a path. */
export function valueAt(object: JsonObject, { name, keys }: Name): unknown {
  const value = object[name]
  if (value !== undefined || keys.length === 1) return value
  return keys.reduce<unknown>((parent, key) => (isObject(parent) ? parent[key] : undefined), object)
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null
}

/** A text or a number, also as the first of a list; `undefined`: another value. */
export function textOf(value: unknown): string | undefined {
  const [one] = Array.isArray(value) ? value : [value]
  return typeof one === 'string' ? one : typeof one === 'number' ? String(one) : undefined
}
