import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { LOADER } from '../../helpers/program.ts'
import { BREAKS } from './breaks.ts'
import { search } from './search.ts'

/** Which days to search, and what is wrong with the algorithm: a name in `BREAKS`, or nothing. */
export interface Task {
  from: number
  to: number
  what?: string
}

type Found = Awaited<ReturnType<typeof search>>

/** A thread that searches, one task at a time, without tap, which follows every promise: that takes four times as long. */
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
