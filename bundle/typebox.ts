/**
 * What this project uses of typebox at runtime, for the bundle: functions that return JSON Schemas. The package has 320
 * modules, for types that no schema of this project has. A schema must be the same as the package makes it, because
 * `settings/compile.ts` finds its compiled code by it: a test compares them.
 */
type Schema = Record<string, unknown>

/** Marks a property as optional. It is not a part of the JSON. */
const OPTIONAL = Symbol('optional')

const of =
  (type: string) =>
  (options: Schema = {}): Schema => ({ type, ...options })

/** The functions of typebox with this name. */
export const Type = {
  String: of('string'),
  Integer: of('integer'),
  Number: of('number'),
  Boolean: of('boolean'),
  Null: of('null'),
  Unknown: (options: Schema = {}): Schema => ({ ...options }),
  Literal: (value: unknown, options: Schema = {}): Schema => ({ type: typeof value, const: value, ...options }),
  Enum: (values: readonly unknown[], options: Schema = {}): Schema => ({ enum: values, ...options }),
  Union: (anyOf: Schema[], options: Schema = {}): Schema => ({ anyOf, ...options }),
  Array: (items: Schema, options: Schema = {}): Schema => ({ type: 'array', items, ...options }),
  Optional: (schema: Schema): Schema => Object.defineProperty({ ...schema }, OPTIONAL, { value: true }),
  Object(properties: Record<string, Schema>, options: Schema = {}): Schema {
    const required = Object.keys(properties).filter((name) => !(OPTIONAL in (properties[name] ?? {})))
    return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options }
  },
}
