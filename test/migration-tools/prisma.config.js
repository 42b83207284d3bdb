// Prisma 6 runs its WebAssembly engine over the adapter of `pg`, so that it downloads no native engine.
import { randomUUID } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import pg from 'pg'
import { parseIntoClientConfig } from 'pg-connection-string'

const { builtins } = pg.types
const CHAR_ARRAY = 1002
const NAME = 19

// The adapter knows no "char" and no name, which PostgreSQL's catalogs have: it reads them as an array of characters,
// which becomes one character below, and as text.
const READ_AS = { [builtins.CHAR]: CHAR_ARRAY, [NAME]: builtins.TEXT }

// Not a connection string, whose database would win over that of the shadow database.
const server = { ...parseIntoClientConfig(process.env.DATABASE_URL ?? ''), allowExitOnIdle: true }

// The engine leaves its timer of ten seconds for the lock behind; the process would wait for it.
const { setTimeout } = globalThis
globalThis.setTimeout = (callback, delay, ...rest) => {
  const timer = setTimeout(callback, delay, ...rest)
  return delay === 10_000 ? timer.unref() : timer
}

class Adapter extends PrismaPg {
  async connect() {
    const adapter = await super.connect()
    const { performIO, queryRaw } = adapter
    adapter.performIO = async (query) => {
      const result = await performIO.call(adapter, query)
      for (const field of result.fields ?? []) field.dataTypeID = READ_AS[field.dataTypeID] ?? field.dataTypeID
      return result
    }
    adapter.queryRaw = async (query) => {
      const result = await queryRaw.call(adapter, query)
      const columnTypes = result.columnTypes.map((type) =>
        type === ColumnTypeEnum.CharacterArray ? ColumnTypeEnum.Character : type,
      )
      return { ...result, columnTypes }
    }
    return adapter
  }

  /** The adapter's own method drops the shadow database while a connection uses it, which PostgreSQL refuses. */
  async connectToShadowDb() {
    const database = `prisma_migrate_shadow_db_${randomUUID()}`
    const main = await this.connect()
    await main.executeScript(`create database "${database}"`)
    const shadow = await new Adapter({ ...server, database }).connect()
    const { dispose } = shadow
    shadow.dispose = async () => {
      await dispose.call(shadow)
      await main.executeScript(`drop database "${database}"`)
      await main.dispose()
    }
    return shadow
  }
}

export default {
  experimental: { adapter: true },
  engine: 'js',
  schema: './schema.prisma',
  adapter: async () => new Adapter(server),
}
