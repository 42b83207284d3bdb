import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Teardown } from '../program.ts'
import { endAtExit, forgetPid } from '../services/reaper.ts'
import { findRuntimeClient } from './runtime-client.ts'

const SHIM = fileURLToPath(new URL('../../fixtures/rapid-client.cjs', import.meta.url))

export interface FunctionOptions {
  /** The folder of the unpacked artifact. */
  taskRoot: string
  /** `folder/file.export`. */
  handler: string
  env: Readonly<Record<string, string>>
  /** The time after which a request and its environment are killed, as by AWS. Default 120 s. */
  timeoutMs?: number
}

/** The outcome of an invocation: the handler returned or threw, or the environment ended. */
export type Invoked =
  | { status: 'returned'; value: unknown; isCold: boolean }
  | { status: 'threw'; error: { errorType: string; errorMessage: string } }
  | { status: 'timeout' | 'crashed'; said: string }

interface Environment {
  child: ChildProcess
  isBusy: boolean
  /** Sends the runtime its next event. Resolves to the outcome. */
  run(event: unknown, id: string): Promise<Invoked>
  freeze(): void
  thaw(): void
  end(): Promise<void>
  said(): string
}

export type Lambda = Awaited<ReturnType<typeof startLambda>>

/**
 * Simulates a function on AWS Lambda: the client of the managed runtime runs in child processes, on our own Runtime API
 * on loopback. Each environment runs one request at a time; a new environment starts when all are busy. An environment
 * is frozen with SIGSTOP between requests, and killed after a timeout. All end with the test.
 */
export async function startLambda(t: Teardown, options: FunctionOptions) {
  const { timeoutMs = 120_000 } = options
  const environments = new Set<Environment>()
  let coldStarts = 0
  t.teardown(async () => {
    await Promise.all([...environments].map((environment) => environment.end()))
  })

  async function provide(): Promise<{ environment: Environment; isCold: boolean }> {
    for (const environment of environments) {
      if (environment.isBusy) continue
      environment.isBusy = true
      environment.thaw()
      return { environment, isCold: false }
    }
    return { environment: await start(), isCold: true }
  }

  async function start(): Promise<Environment> {
    coldStarts += 1
    const environment = await startEnvironment(options)
    environments.add(environment)
    environment.child.once('exit', () => environments.delete(environment))
    return environment
  }

  /** Invokes the function with an event. @throws when its start fails, with its output. */
  async function invoke(event: unknown): Promise<Invoked> {
    const { environment, isCold } = await provide()
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<Invoked>((resolve) => {
      timer = setTimeout(() => resolve({ status: 'timeout', said: environment.said() }), timeoutMs)
    })
    const invoked = await Promise.race([environment.run(event, randomUUID()), deadline])
    clearTimeout(timer)
    if (invoked.status === 'timeout' || invoked.status === 'crashed') {
      environments.delete(environment)
      await environment.end()
      return invoked
    }
    environment.freeze()
    environment.isBusy = false
    return invoked.status === 'returned' ? { ...invoked, isCold } : invoked
  }

  return {
    invoke,
    /** Starts `count` environments, ten at a time, because they share the processors of this machine. */
    async prepare(count: number): Promise<void> {
      for (let left = count; left > 0; left -= 10) {
        const started = await Promise.all(Array.from({ length: Math.min(10, left) }, start))
        for (const environment of started) environment.isBusy = false
      }
    },
    coldStarts: () => coldStarts,
    /** The process ids, also of frozen processes. */
    pids: () => [...environments].map(({ child }) => child.pid ?? 0),
    /** Freezes all environments, also during a request, or continues them. */
    signalAll: (signal: 'SIGSTOP' | 'SIGCONT') => {
      for (const { child } of environments) child.kill(signal)
    },
    /** The output of all environments. */
    said: () => [...environments].map((environment) => environment.said()).join(''),
    /** Ends every environment, so that the next request is a cold start. */
    async reset() {
      await Promise.all([...environments].map((environment) => environment.end()))
    },
  }
}

const RUNTIME = '/2018-06-01/runtime'

/** @throws when the function ends before it requests its first event. */
async function startEnvironment({ taskRoot, handler, env }: FunctionOptions): Promise<Environment> {
  let waiting: ServerResponse | undefined
  let settle: ((invoked: Invoked) => void) | undefined
  let onWaiting = () => {}
  const api = createServer(async (request, response) => {
    const path = request.url?.replace(RUNTIME, '') ?? ''
    if (path === '/invocation/next') {
      waiting = response
      onWaiting()
      return
    }
    const body: unknown = JSON.parse((await text(request)) || 'null')
    response.writeHead(202).end('{}')
    if (path.endsWith('/response')) settle?.({ status: 'returned', value: body, isCold: false })
    if (path.endsWith('/error'))
      settle?.({ status: 'threw', error: body as { errorType: string; errorMessage: string } })
  })
  api.keepAliveTimeout = 0
  api.requestTimeout = 0
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  const address = `127.0.0.1:${(api.address() as AddressInfo).port}`

  // `env` removes the NODE_OPTIONS of tap, which double the time of a cold start.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, '--require', SHIM, await findRuntimeClient(), handler]
  const child = spawn('/usr/bin/env', command, {
    cwd: taskRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Only the variables that AWS sets, and those of the function.
    env: { PATH: '/usr/bin:/bin', ...runtimeVariables(taskRoot, handler, address), ...env },
  })
  const pid = child.pid ?? 0
  endAtExit(pid)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
    })
  }
  const exit = once(child, 'close').then(() => {
    forgetPid(pid)
    api.closeAllConnections()
    api.close()
    settle?.({ status: 'crashed', said })
  })

  /** Waits until the runtime requests an event. Code that runs later runs only while the environment is not frozen. */
  async function waitForNextEvent(): Promise<void> {
    if (waiting === undefined) {
      const asks = new Promise<void>((resolve) => {
        onWaiting = resolve
      })
      await Promise.race([asks, exit])
    }
    if (waiting === undefined) throw new Error(`the function ended: ${said}`)
  }

  await waitForNextEvent()
  return {
    child,
    isBusy: true,
    async run(event, id) {
      const ends = new Promise<Invoked>((resolve) => {
        settle = resolve
      })
      const response = waiting
      waiting = undefined
      response?.writeHead(200, {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': id,
        'lambda-runtime-deadline-ms': String(Date.now() + 60_000),
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:eu-central-1:000000000000:function:test',
        'lambda-runtime-trace-id': 'Root=1-0-0;Sampled=0',
      })
      response?.end(JSON.stringify(event))
      const invoked = await ends
      settle = undefined
      if (invoked.status === 'returned' || invoked.status === 'threw') await waitForNextEvent()
      return invoked
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async end() {
      child.kill('SIGKILL')
      await exit
    },
    said: () => said,
  }
}

function runtimeVariables(taskRoot: string, handler: string, api: string): Record<string, string> {
  return {
    TZ: ':UTC',
    LANG: 'en_US.UTF-8',
    AWS_LAMBDA_RUNTIME_API: api,
    _HANDLER: handler,
    LAMBDA_TASK_ROOT: taskRoot,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x',
    AWS_REGION: 'eu-central-1',
    AWS_LAMBDA_FUNCTION_NAME: 'test',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
    AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/test',
    AWS_LAMBDA_LOG_STREAM_NAME: 'test',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'session',
  }
}
