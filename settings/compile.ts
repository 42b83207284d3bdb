import { Ajv, type ValidateFunction } from 'ajv'
import { formats } from './formats.ts'

/** How settings are checked; also where that is compiled ahead (see `bundle/precompile.ts`). */
export const AJV_OPTIONS = { allErrors: true, strictSchema: false, useDefaults: true, formats }

/** A function that checks settings and fills in defaults. A file of its own: a bundle has another one in its place, without Ajv. */
export function compileSettings(schema: object): ValidateFunction {
  return new Ajv(AJV_OPTIONS).compile(schema)
}
