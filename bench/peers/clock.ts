// A worker that posts a message every so many milliseconds (`workerData`), fractions too. It sleeps where nothing else
// runs: the timers of an event loop are a millisecond coarse, which is as much as what is measured here, and a loop
// that spins takes a core.
import { parentPort, workerData } from 'node:worker_threads'

const { everyMs, ticks } = workerData as { everyMs: number; ticks: number }
const never = new Int32Array(new SharedArrayBuffer(4))
const startedAtMs = performance.now()
for (let tick = 0; tick < ticks; tick += 1) {
  const leftMs = startedAtMs + tick * everyMs - performance.now()
  if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs)
  parentPort?.postMessage(tick)
}
