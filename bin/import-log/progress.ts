import type { Writable } from 'node:stream'
import cliProgress from 'cli-progress'

/** A progress bar. */
export interface Progress {
  update(progress: { bytes: number; lines: number }): void
  /** Removes the bar from the screen. */
  stop(): void
}

/**
 * Shows a progress bar on a terminal; does nothing elsewhere.
 * @param totalBytes the size of the log; `undefined`: the bar shows the number of lines.
 */
export function createProgress(stream: Writable & { isTTY?: boolean }, totalBytes: number | undefined): Progress {
  if (stream.isTTY !== true) return { update() {}, stop() {} }
  const bar = new cliProgress.SingleBar({
    stream,
    format: totalBytes === undefined ? '{lines} lines' : '{bar} {percentage}% | {lines} lines | {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    hideCursor: true,
  })
  bar.start(totalBytes ?? 0, 0, { lines: '0' })
  return {
    update: ({ bytes, lines }) => bar.update(bytes, { lines: lines.toLocaleString('en-US') }),
    stop: () => bar.stop(),
  }
}
