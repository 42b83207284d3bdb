// `npm run simulate -- --seeds 5000`: simulates days of a fleet with faults. Ends with code 1 after a broken promise.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { startSearcher } from '../test/cache/simulation/searcher.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '5000' } } })
const seeds = Number(values.seeds)
if (!Number.isInteger(seeds) || seeds < 1) throw new Error('expected --seeds to be an integer of 1 or more')

/** The days that a thread simulates in one call. */
const DAYS = 250
const say = (text: string) => process.stdout.write(`${text}\n`)
let next = 1
let done = 0
let failed = 0

/** One thread for each core. */
async function searchOn(searcher: ReturnType<typeof startSearcher>): Promise<void> {
  while (next <= seeds && failed === 0) {
    const [from, to] = [next, Math.min(next + DAYS - 1, seeds)]
    next = to + 1
    const found = await searcher.search({ from, to })
    done += to - from + 1
    if (found === undefined) say(`${done} of ${seeds} days simulated`)
    else {
      failed += 1
      say(`${found.broken.join('\n')}\nReplay: ${found.replay}`)
    }
  }
  await searcher.end()
}

await Promise.all(Array.from({ length: availableParallelism() }, () => searchOn(startSearcher())))
if (failed === 0) say(`No promise was broken in ${seeds} days.`)
process.exitCode = failed === 0 ? 0 : 1
