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
 * Creates the scripts of a store on Redis. Each is one file in `lua/`, behind the functions in `shared.lua` and, of
 * some, `index.lua`.
 * @param time Lua that sets `now`. Default: the clock of Redis. Tests with a virtual clock pass their own.
 */
export function createScripts(time: string = REDIS_TIME) {
  const script = (...names: string[]) => defineScript(`${time}\n${HISTORY}${['shared', ...names].map(read).join('')}`)
  return {
    acquire: script('index', 'acquire'),
    commit: script('index', 'commit'),
    drop: script('drop'),
    renew: script('renew'),
    fail: script('fail'),
    release: script('release'),
    invalidate: script('invalidate'),
    invalidateKey: script('invalidate-key'),
    generation: script('generation'),
  }
}
