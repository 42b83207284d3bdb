// What `psql "$DATABASE_URL" --file …` does, for those who have no psql.
import { readFileSync } from 'node:fs'
import pg from 'pg'

const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
await client.connect()
for (const file of process.argv.slice(2)) await client.query(readFileSync(file, 'utf8'))
await client.end()
