import { StartupError } from '../../lib/errors.ts'

/** An argument is wrong, an export cannot be read, or an import is refused. The message says what to do. */
export class ExportError extends StartupError {
  override readonly name = 'ExportError'
}
