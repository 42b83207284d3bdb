import t from 'tap'
import { runProgram } from '../helpers/program.ts'

const MODES = {
  'a single Redis': [],
  'failovers, a snapshot that is restored, a clock that is set back': ['--failovers'],
  'failovers by Sentinels': ['--sentinel'],
  'a Cluster with failovers, and a slot that moves': ['--cluster', '--failovers'],
}

for (const [name, args] of Object.entries(MODES)) {
  t.test(
    `fifteen seconds of torture, ${name}: nothing stale after an invalidation, nothing fails that could be served`,
    async (t) => {
      const program = runProgram(t, 'scripts/torture.ts', {
        args: ['--seconds', '15', '--seed', '3', ...args],
        isCovered: false,
      })
      const code = await program.ended()
      t.comment(program.stdout())
      t.equal(code, 0, `${program.stdout().slice(-3000)}${program.stderr()}`)
      const [, reads, invalidations] =
        /^seed 3, \d+ s: (\d+) reads.*, (\d+) invalidations confirmed/m.exec(program.stdout()) ?? []
      t.ok(Number(reads) > 30, `${reads} reads`)
      t.ok(Number(invalidations) > 0, `${invalidations} invalidations`)
    },
  )
}
