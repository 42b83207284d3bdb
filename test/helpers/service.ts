import type { Test } from 'tap'
import type { PopularPost } from '../../index.ts'
import { type Program, runProgram } from './program.ts'

/** Starts the service on a free port, as `npm start` does. Resolves to the program and its address. */
export async function startService(t: Test, env: NodeJS.ProcessEnv): Promise<Program & { address: string }> {
  const service = runProgram(t, 'server.ts', { env: { PORT: '0', ...env } })
  const [, address = ''] = await service.says(/(http:\/\/127\.0\.0\.1:\d+)/)
  return { ...service, address }
}

/** Runs the command `popular-posts`. */
export const command = (t: Test, args: string[], env: NodeJS.ProcessEnv) =>
  runProgram(t, 'bin/popular-posts.ts', { args, env })

export async function getPosts(address: string, query = ''): Promise<PopularPost[]> {
  const response = await fetch(`${address}/posts/popular${query}`)
  return (await response.json()) as PopularPost[]
}

/** Waits for a program whose start fails, and checks its error: one line on stderr, without a stack. */
export async function expectStartError(t: Test, program: Program, sentence: RegExp): Promise<void> {
  t.equal(await program.ended(), 1, 'exit code')
  t.match(program.stderr(), sentence)
  t.equal(program.stderr().trim().split('\n').length, 1, `one sentence: ${program.stderr()}`)
  t.notMatch(program.stdout() + program.stderr(), /\n\s+at |node:internal/, 'no stack')
}
