/** A key of a request: what its value must be. */
interface Expected {
  /** For the error, such as `hard or soft`. */
  expected: string
  isValid(value: unknown): boolean
}

/** The fields of an event of EventBridge, which wraps a request as `detail`. */
interface Envelope {
  'detail-type': string
  detail?: unknown
}

/**
 * Reads the event of a function that is invoked directly, by a schedule or by a rule of EventBridge.
 * @param name of the function, for the error.
 * @param keys the keys that a request may have. A key without a value counts as not given.
 * @returns the request: the event itself, or the `detail` of an event of EventBridge.
 * @throws TypeError for an unknown key or a value that is not expected: a misspelt key would silently mean its default.
 */
export function readRequest<T extends object>(
  event: unknown,
  name: string,
  keys: Readonly<Record<keyof T & string, Expected>>,
): T {
  const request = isObject(event) && 'detail-type' in event ? (event as unknown as Envelope).detail : event
  if (request === undefined || request === null) return {} as T
  const fail = (expected: string, got: unknown): never => {
    throw new TypeError(`The function ${name} expects ${expected}, got ${JSON.stringify(got)}.`)
  }
  if (!isObject(request)) return fail('an object', request)
  for (const [key, value] of Object.entries(request)) {
    const known = Object.hasOwn(keys, key) ? keys[key as keyof T & string] : undefined
    if (known === undefined) fail(`no other keys than ${Object.keys(keys).join(', ')}`, key)
    else if (value !== undefined && !known.isValid(value)) fail(`${key} to be ${known.expected}`, value)
  }
  return request as T
}

/** Whether a value is an object, and no array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
