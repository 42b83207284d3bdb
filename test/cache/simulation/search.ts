import { setImmediate as eventLoop } from 'node:timers/promises'
import { type Break, simulate } from './simulate.ts'

/** The first seed of a range that breaks a promise, with the command that replays it. */
export async function search({ from, to }: { from: number; to: number }, broken?: Break) {
  for (let seed = from; seed <= to; seed += 1) {
    const outcome = await simulate(seed, broken)
    await eventLoop()
    if (outcome.broken.length > 0) {
      return { replay: `SEED=${seed} npx tap test/cache/simulation.test.ts`, seed, ...outcome }
    }
  }
  return undefined
}
