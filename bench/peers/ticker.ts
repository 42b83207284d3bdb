// A worker that posts a message every `everyMs` milliseconds (`workerData`), which may be a fraction. It sleeps in its
// own thread: timers of an event loop have a resolution of 1 ms, which is as much as the latencies measured here, and a
// busy loop would take a core.
import { parentPort, workerData } from 'node:worker_threads'

const { everyMs, ticks } = workerData as { everyMs: number; ticks: number }
const never = new Int32Array(new SharedArrayBuffer(4))
const startedAtMs = performance.now()
for (let tick = 0; tick < ticks; tick += 1) {
  const leftMs = startedAtMs + tick * everyMs - performance.now()
  if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs)
  parentPort?.postMessage(tick)
}
