import { readFileSync } from 'node:fs'

/**
 * The text of a `.sql` file. The Lambda bundle replaces this module with one that holds the texts: see
 * `bundle/bundle.ts`.
 * @param path seen from this folder.
 */
export function readSqlFile(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8')
}
