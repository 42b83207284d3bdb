import { defineConfig } from 'drizzle-kit'

const url = process.env.DATABASE_URL ?? ''
export default defineConfig({ dialect: 'postgresql', out: './pulled', schema: './tables.js', dbCredentials: { url } })
