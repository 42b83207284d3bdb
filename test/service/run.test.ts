import t from 'tap'
import { StartupError } from '../../lib/errors.ts'
import { ConfigError } from '../../service/config.ts'
import { runMain } from '../../service/run.ts'
import { runProgram } from '../helpers/program.ts'

t.test('a failing program ends with code 1, and prints one sentence or the full error', async (t) => {
  const written = t.capture(process.stderr, 'write', () => true)
  t.teardown(() => {
    process.exitCode = 0
  })
  const failWith = async (problem: unknown) => {
    process.exitCode = 0
    await runMain(() => Promise.reject(problem))
    t.equal(process.exitCode, 1)
    return String(written().at(-1)?.args[0])
  }
  t.equal(await failWith(new StartupError('Do this.')), 'Do this.\n')
  t.equal(await failWith(new ConfigError('Set that.')), 'Set that.\n')
  t.match(await failWith(new TypeError('ours')), /^TypeError: ours\n {4}at /)
  t.equal(await failWith('a string'), 'a string\n')

  process.exitCode = 0
  await runMain(async () => {})
  t.equal(process.exitCode, 0)
})

t.test('after an uncaught error a service ends its parts, and exits with code 1', async (t) => {
  const program = runProgram(t, 'test/fixtures/uncaught-error.ts')
  t.equal(await program.ended(), 1)
  t.match(program.stderr(), /^Error: no code catches this\n {4}at /)
  t.equal(program.stdout(), 'ended\n')
})
