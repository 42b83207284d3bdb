import type { Kysely } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { seedDemo } from '../../demo/data/seed-demo.ts'
import site, { type SiteOptions } from '../../demo/site/site.ts'
import { readConfig } from '../../service/config.ts'
import { buildService } from '../../service/service.ts'
import type { Teardown } from './program.ts'

interface SiteTest extends Partial<Pick<SiteOptions, 'isAdopted'>> {
  db: Kysely<Database>
  url: string
  variables?: NodeJS.ProcessEnv
}

/** Creates the service with the demo site, as `server.ts` does. It does not listen, and closes when the test ends. */
export async function createSite(t: Teardown, { db, url, isAdopted = false, variables = {} }: SiteTest) {
  const config = readConfig({ LOG_LEVEL: 'silent', TRUST_PROXY: 'loopback', ...variables })
  const app = await buildService(config, url)
  t.teardown(() => app.close())
  await app.register(site, { db, isAdopted, timeZone: 'UTC', days: config.days })
  await app.ready()
  return app
}

/** Fills an empty database with the demo blog. */
export function fillWithDemo(db: Kysely<Database>): Promise<boolean> {
  return seedDemo(db, { nowMs: Date.now(), timeZone: 'UTC' })
}
