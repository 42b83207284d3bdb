import { messageOf } from '../lib/errors.ts'

/** The most bytes of an entry: the memory of a process and Redis hold many entries. */
export const MAX_ENTRY_BYTES = 16 * 2 ** 20

interface Expected {
  /** The name of the value, for errors. */
  name: string
  /** What the value must be, for errors. */
  expected: string
  /** Whether a value is of that kind. It is called with the value after its `toJSON`. */
  isExpected: (value: unknown) => boolean
}

/**
 * Returns a value as JSON text.
 * @throws TypeError when it is not of the expected kind, or JSON would lose a part of it; the message names the part, but has
 * no value, which may be secret.
 */
export function encodeJson(value: unknown, { name, expected, isExpected }: Expected): string {
  let problem: string | undefined
  let isRoot = true
  function check(key: string, part: unknown): unknown {
    // The first part is the value, after its `toJSON`.
    if (isRoot && !isExpected(part)) problem = kindOf(part)
    else if (isLost(part)) problem = isRoot ? kindOf(part) : `${kindOf(part)} in its property ${JSON.stringify(key)}`
    isRoot = false
    // Ends the encoding.
    if (problem !== undefined) throw new TypeError(problem)
    return part
  }
  try {
    return JSON.stringify(value, check)
  } catch (cause) {
    if (problem !== undefined) throw new TypeError(`Expected ${name} to be ${expected}, got ${problem}.`)
    const [reason] = messageOf(cause).split('\n')
    throw new TypeError(`Expected ${name} to be ${expected}, but it cannot be encoded: ${reason}`, { cause })
  }
}

/** Whether JSON cannot represent a value, or would have an empty object in its place. */
function isLost(value: unknown): boolean {
  if (typeof value === 'bigint') return true
  return value instanceof Map || value instanceof Set || isThenable(value)
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Names the kind of a value, without the value: it may be secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'bigint') return 'a BigInt'
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  if (isThenable(value)) return 'a promise'
  if (value instanceof Map) return 'a Map'
  if (value instanceof Set) return 'a Set'
  return 'an object'
}
