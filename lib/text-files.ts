import { readFileSync } from 'node:fs'

/**
 * Reads a `.sql` or `.lua` file of this package. The build replaces this module with one that holds the texts
 * (`scripts/build.js`), and so does the Lambda bundle (`bundle/bundle.ts`).
 * @param path seen from the root of the package, such as `cache/lua/acquire.lua`.
 */
export function readTextFile(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}
