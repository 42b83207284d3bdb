import { inspect } from 'node:util'
import { compileSettings } from './compile.ts'

/** A property of a flat settings object, as JSON Schema. `expected` says in words what a value must be; integers have a range. */
interface PropertySchema {
  minimum?: number
  maximum?: number
  expected?: string
  /** A value that must not be shown, not even in an error. */
  isSecret?: boolean
}

/** The schema of a flat settings object. */
export interface SettingsSchema {
  type: 'object'
  properties: Record<string, PropertySchema>
}

/**
 * Makes a function that lists what is wrong with a settings object, a sentence each; none when all is well. It fills in
 * the defaults of what is not set. Formats are those of `settings/formats.ts`.
 */
export function createValidator(schema: SettingsSchema): (settings: object) => string[] {
  const check = compileSettings(schema)
  return (settings) => {
    check(settings)
    const values = new Map(Object.entries(settings))
    const problems = (check.errors ?? []).map((error) => {
      const [, path, index] = error.instancePath.split('/')
      const name = path ?? String(error.params['additionalProperty'])
      const property = schema.properties[name]
      if (property === undefined)
        return `${name}: expected no such name; there are ${Object.keys(schema.properties).join(', ')}`
      const value = values.get(name)
      return `${name}: expected ${inWords(property)}, got ${property.isSecret ? 'something else' : shown(index === undefined ? value : value[Number(index)])}`
    })
    return [...new Set(problems)]
  }
}

function inWords({ minimum, maximum, expected }: PropertySchema): string {
  return expected ?? `an integer from ${minimum} to ${maximum}`
}

/** A value as it may stand in an error: short, on one line. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 1, breakLength: Infinity })
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
