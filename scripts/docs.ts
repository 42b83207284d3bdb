// npm run docs: writes the tables of docs/options.md anew, from the schemas that check the options and the environment.
import { readFileSync, writeFileSync } from 'node:fs'
import { DOCUMENT, withTables } from '../test/helpers/settings-tables.ts'

writeFileSync(DOCUMENT, withTables(readFileSync(DOCUMENT, 'utf8')))
