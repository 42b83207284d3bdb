/** A value of a JSON file, and its position among the values, from 1. */
export interface JsonValue {
  line: number
  value: unknown
}

/** The most characters of one value. Arrays of any length are read element by element. */
export const MAX_VALUE = 64 * 1024 * 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING = [0x7b, 0x5b]
const CLOSING = [0x7d, 0x5d]

/**
 * Reads JSON piece by piece, of which the first begins a value: the elements of an array, or else objects and arrays one after another, as in JSON lines.
 * Numbers and strings outside of them are left out.
 * @throws an error for the user, if the text is no JSON, or cut off.
 */
export async function* jsonValues(
  pieces: AsyncIterable<string>,
  maxValue = MAX_VALUE,
): AsyncGenerator<JsonValue[], void> {
  /** The depth at which values begin: 1 in an array. */
  let base: number | undefined
  let depth = 0
  let isText = false
  let isEscaped = false
  let begun = ''
  let count = 0

  /** The state after a character outside of strings; `true`: a value begins with it or ends with it. */
  function isEdge(code: number): boolean {
    if (OPENING.includes(code)) return depth++ === base
    if (CLOSING.includes(code)) return --depth === base
    isText = code === QUOTE
    return false
  }

  function parse(text: string): JsonValue {
    count++
    try {
      return { line: count, value: JSON.parse(text) }
    } catch (cause) {
      throw new Error(`Value ${count} of the file is no JSON.`, { cause })
    }
  }

  for await (const piece of pieces) {
    base ??= piece.trimStart().startsWith('[') ? 1 : 0
    const values: JsonValue[] = []
    let start = begun === '' ? -1 : 0
    for (let index = 0; index < piece.length; index++) {
      const code = piece.charCodeAt(index)
      if (isEscaped) isEscaped = false
      else if (isText) {
        isEscaped = code === BACKSLASH
        isText = code !== QUOTE
      } else if (isEdge(code)) {
        if (start === -1) start = index
        else {
          values.push(parse(begun + piece.slice(start, index + 1)))
          begun = ''
          start = -1
        }
      }
    }
    if (start !== -1) begun += piece.slice(start)
    if (begun.length > maxValue)
      throw new Error('One value of the file is too large: export fewer days at once, or write one object a line.')
    yield values
  }
  if (begun !== '') throw new Error('The JSON is cut off in the middle of a value.')
}
