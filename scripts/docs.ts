// npm run docs: generates the tables of docs/options.md from the schemas of the options and the environment.
import { readFileSync, writeFileSync } from 'node:fs'
import { DOCUMENT, withTables } from '../test/helpers/settings-tables.ts'

writeFileSync(DOCUMENT, withTables(readFileSync(DOCUMENT, 'utf8')))
