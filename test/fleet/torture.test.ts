import t from 'tap'
import { runProgram } from '../helpers/program.ts'

t.test(
  'fifteen seconds of torture: nothing stale after an invalidation, nothing fails that could be served',
  async (t) => {
    const program = runProgram(t, 'scripts/torture.ts', {
      args: ['--seconds', '15', '--seed', '3'],
      isCovered: false,
    })
    const code = await program.ended()
    t.comment(program.stdout())
    t.equal(code, 0, `${program.stdout().slice(-3000)}${program.stderr()}`)
    const [, reads, invalidations] =
      /^seed 3, \d+ s: (\d+) reads.*, (\d+) invalidations confirmed/m.exec(program.stdout()) ?? []
    t.ok(Number(reads) > 100, `${reads} reads`)
    t.ok(Number(invalidations) > 0, `${invalidations} invalidations`)
  },
)
