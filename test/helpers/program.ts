import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { until } from './services/until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The argument with which Node.js runs TypeScript. */
export const LOADER = `--import=${new URL('../../scripts/loader/register.js', import.meta.url)}`

/** As tap tells the processes that it follows. */
const IS_COVERAGE_MEASURED = process.env['_TAPJS_PROCESSINFO_COVERAGE_'] === '1'

/** All we need of a tap test. */
export interface Teardown {
  teardown(end: () => Promise<unknown>): unknown
}

export interface Program {
  child: ChildProcess
  /** What it has said so far. */
  stdout(): string
  stderr(): string
  /** Waits until it has said something on stdout; answers what matched. */
  says(pattern: RegExp, timeoutMs?: number): Promise<string[]>
  /** Waits for its end; answers its exit code. */
  ended(): Promise<number | null>
  /** Asks it to end, and waits. */
  stop(): Promise<number | null>
}

interface ProgramOptions {
  args?: string[]
  env?: NodeJS.ProcessEnv
  input?: string
  /**
   * Whether what it runs counts for the coverage (default, if that is measured), which costs each process 0.5 s of CPU.
   */
  isCovered?: boolean
}

/** Runs one of the project's programs from its source, such as `server.ts`; it ends with the test. */
export function runProgram(
  t: Teardown,
  file: string,
  { args = [], env = {}, input, isCovered = IS_COVERAGE_MEASURED }: ProgramOptions = {},
): Program {
  const { TEST_DATABASE_URL: _database, TEST_REDIS_URL: _redis, DATABASE_URL: _ambient, ...inherited } = process.env
  const command = [process.execPath, LOADER, file, ...args]
  // `env`, because tap gives NODE_OPTIONS to whatever is started, and follows it from there on.
  const [program = '', ...rest] = isCovered ? command : ['env', '-u', 'NODE_OPTIONS', ...command]
  const child = spawn(program, rest, {
    cwd: root,
    env: { ...inherited, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  child.stdin?.end(input)
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
