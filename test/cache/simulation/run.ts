// `npm run simulate -- --seeds 5000`: bad days of a fleet, by the thousand. Ends with 1 at the first broken promise.
import { parseArgs } from 'node:util'
import { search } from './search.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '5000' } } })
const seeds = Number(values.seeds)
if (!Number.isInteger(seeds) || seeds < 1) throw new Error('expected --seeds to be an integer of 1 or more')

const found = await search(seeds, undefined, (seed) => {
  if (seed % 1000 === 0) process.stdout.write(`${seed} of ${seeds} days simulated\n`)
})
process.stdout.write(
  found === undefined
    ? `No promise was broken in ${seeds} days.\n`
    : `${found.broken.join('\n')}\nReplay: ${found.replay}\n`,
)
process.exitCode = found === undefined ? 0 : 1
