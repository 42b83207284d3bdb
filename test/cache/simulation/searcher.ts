import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { LOADER } from '../../helpers/program.ts'
import { BREAKS } from './breaks.ts'
import { search } from './search.ts'

/** The days to search, and the fault of the algorithm: a name in `BREAKS`, or none. */
export interface Task {
  from: number
  to: number
  what?: string
}

type Found = Awaited<ReturnType<typeof search>>

/** A thread that runs one search at a time, without tap, with which a search takes four times as long. */
export function startSearcher() {
  const worker = new Worker(fileURLToPath(import.meta.url), { execArgv: [LOADER], env: {} })
  return {
    async search(task: Task): Promise<Found> {
      worker.postMessage(task)
      const [found] = (await once(worker, 'message')) as [Found]
      return found
    },
    end: () => worker.terminate(),
  }
}

if (!isMainThread) {
  parentPort?.on('message', async ({ what, ...days }: Task) => {
    parentPort?.postMessage(await search(days, what === undefined ? undefined : BREAKS[what]))
  })
}
