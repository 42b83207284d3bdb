import { setImmediate as eventLoop } from 'node:timers/promises'
import { type Break, simulate } from './simulate.ts'

/** The first seed that breaks a promise, with how to replay it. */
export async function search(seeds: number, broken?: Break, onSeed: (seed: number) => void = () => {}) {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const outcome = await simulate(seed, broken)
    await eventLoop()
    if (outcome.broken.length > 0) {
      return { replay: `SEED=${seed} npx tap test/cache/simulation.test.ts`, seed, ...outcome }
    }
    onSeed(seed)
  }
  return undefined
}
