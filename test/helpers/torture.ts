import type { Test } from 'tap'
import { runProgram } from './program.ts'

/**
 * Fifteen seconds of torture: nothing is stale after an invalidation, and nothing fails that could be served.
 * @param args options of `scripts/torture.ts`.
 */
export async function expectTorture(t: Test, args: readonly string[]): Promise<void> {
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
}
