// npm run docs: generates the tables of docs/options.md from the schemas of the settings, and docs/api.md from
// docstrings.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DOCUMENT, withTables } from '../test/helpers/settings-tables.ts'
import { API_REFERENCE, makeApiReference } from './api-reference.ts'

writeFileSync(DOCUMENT, withTables(readFileSync(DOCUMENT, 'utf8')))
const out = mkdtempSync(join(tmpdir(), 'popular-posts-api-'))
try {
  writeFileSync(API_REFERENCE, await makeApiReference(out))
} finally {
  rmSync(out, { recursive: true, force: true })
}
