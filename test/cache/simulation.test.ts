import t from 'tap'
import { BREAKS } from './simulation/breaks.ts'
import { search } from './simulation/search.ts'
import { startSearcher } from './simulation/searcher.ts'
import { simulate } from './simulation/simulate.ts'

// SEEDS=1000 runs more days, `npm run simulate` many more (without tap, which slows down every promise). SEED=17
// replays one day, line by line.
const SEEDS = Number(process.env['SEEDS'] ?? 100)
const ONE = process.env['SEED']
/** The maximum of seeds until the simulation detects a broken algorithm. */
const SEEDS_TO_FIND = 200

if (ONE !== undefined) {
  t.test(`seed ${ONE}`, async (t) => {
    const { broken, hash } = await simulate(Number(ONE), {}, (line) => t.comment(line))
    t.comment(`hash ${hash}`)
    t.strictSame(broken, [])
  })
} else {
  t.test('a seed replays exactly', async (t) => {
    const hashes = new Set<string>()
    for (let seed = 1; seed <= 10; seed += 1) {
      const lines: string[] = []
      const first = await simulate(seed, {}, (line) => lines.push(line))
      const second = await simulate(seed, {}, (line) => lines.push(line))
      t.ok(first.loads > 0)
      t.same(first, second)
      t.ok(lines.slice(0, lines.length / 2).join() === lines.slice(lines.length / 2).join(), 'line by line')
      hashes.add(first.hash)
    }
    t.equal(hashes.size, 10, 'and no two are alike')
  })

  const searcher = startSearcher()
  t.teardown(() => searcher.end())
  for (const [what, { says }] of Object.entries(BREAKS)) {
    t.test(`the simulation detects that ${what}`, async (t) => {
      const found = await searcher.search({ from: 1, to: SEEDS_TO_FIND, what })
      t.match(found?.broken.join('\n'), says)
      t.comment(`seed ${found?.seed}: ${found?.broken[0]}`)
    })
  }

  t.test(`${SEEDS} simulated days with faults of four processes break no promise`, async (t) => {
    t.equal(await search({ from: 1, to: SEEDS }), undefined)
  })
  t.setTimeout(SEEDS * 100 + 200_000)
}
