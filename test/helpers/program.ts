import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { until } from './services/until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The argument that makes Node.js run TypeScript. */
export const LOADER = `--import=${new URL('../../scripts/loader/register.js', import.meta.url)}`

/** tap sets this variable for its processes. */
const IS_COVERAGE_MEASURED = process.env['_TAPJS_PROCESSINFO_COVERAGE_'] === '1'

/** The part of a tap test that the helpers use. */
export interface Teardown {
  teardown(end: () => Promise<unknown>): unknown
}

export interface Program {
  child: ChildProcess
  /** The output so far. */
  stdout(): string
  stderr(): string
  /** Waits until stdout matches. Resolves to the match. */
  says(pattern: RegExp, timeoutMs?: number): Promise<string[]>
  /** Waits for the end of the process. Resolves to the exit code. */
  ended(): Promise<number | null>
  /** Sends SIGTERM and waits for the end of the process. */
  stop(): Promise<number | null>
}

interface ProgramOptions {
  args?: string[]
  env?: NodeJS.ProcessEnv
  input?: string
  /** Whether the process measures its coverage, which takes 0.5 s of CPU. Default: as the test does. */
  isCovered?: boolean
}

/** Runs a program of the project from its source, such as `server.ts`. The process ends with the test. */
export function runProgram(
  t: Teardown,
  file: string,
  { args = [], env = {}, input, isCovered = IS_COVERAGE_MEASURED }: ProgramOptions = {},
): Program {
  const { TEST_DATABASE_URL: _database, TEST_REDIS_URL: _redis, DATABASE_URL: _ambient, ...inherited } = process.env
  const command = [process.execPath, LOADER, file, ...args]
  // `env` removes the NODE_OPTIONS that tap adds to every child process.
  const [program = '', ...rest] = isCovered ? command : ['env', '-u', 'NODE_OPTIONS', ...command]
  const child = spawn(program, rest, {
    cwd: root,
    env: { ...inherited, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  // The program may end before it has read its input.
  child.stdin?.on('error', () => undefined).end(input)
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text
    })
  }
  const end = once(child, 'close').then(([code]) => code as number | null)
  const stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    return end
  }
  t.teardown(stop)
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    async says(pattern, timeoutMs) {
      let match: string[] | null = null
      await until(
        () => {
          match = pattern.exec(said.stdout)
          if (match === null && child.exitCode !== null) throw new Error(`${file} ended: ${said.stdout}${said.stderr}`)
          return match !== null
        },
        `${file} says ${pattern}`,
        timeoutMs,
      )
      return match ?? []
    },
    ended: () => end,
    stop,
  }
}
