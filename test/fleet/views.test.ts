import t from 'tap'
import { runProgram } from '../helpers/program.ts'

t.test('5,000 views, 5 kills -9: what Redis took is counted, exactly', async (t) => {
  const program = runProgram(t, 'scripts/torture-views.ts', {
    args: ['--views', '5000', '--kills', '5', '--seed', '1'],
    isCovered: false,
  })
  const code = await program.ended()
  t.comment(program.stdout())
  t.equal(code, 0, `${program.stdout().slice(-3000)}${program.stderr()}`)
  const [, taken] =
    /^Redis accepted (\d+) views; counted: \1 \(total\), \1 \(day\), \1 \(hour\)$/m.exec(program.stdout()) ?? []
  t.ok(Number(taken) > 2500, `${taken} of 5,000 views were taken`)
})
