import { defineScript } from '../lib/redis-scripts-runner.ts'
import { readTextFile } from '../lib/text-files.ts'

const read = (name: string) => readTextFile(`cache/lua/${name}.lua`)

/** Lua that sets `now` to the clock of Redis (ms). */
export const REDIS_TIME = read('time')

/** Lua with the function `history`. */
const HISTORY = read('history')

/** The scripts of a store on Redis. */
export type Scripts = ReturnType<typeof createScripts>

/**
 * Creates the scripts of a store on Redis. Each is one file in `lua/`, behind the functions in `shared.lua`.
 * @param time Lua that sets `now`. Default: the clock of Redis. Tests with a virtual clock pass their own.
 */
export function createScripts(time: string = REDIS_TIME) {
  const script = (name: string) => defineScript(`${time}\n${HISTORY}${read('shared')}${read(name)}`)
  return {
    acquire: script('acquire'),
    commit: script('commit'),
    renew: script('renew'),
    fail: script('fail'),
    release: script('release'),
    invalidate: script('invalidate'),
    invalidateKey: script('invalidate-key'),
    generation: script('generation'),
  }
}
