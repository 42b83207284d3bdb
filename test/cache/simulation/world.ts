/** The time and the random numbers of a simulated run; the seed determines all of it. */
export interface World {
  now(): number
  /** A number from 0 to 1. */
  random(): number
  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number
  pick<T>(choices: readonly T[]): T
  chance(probability: number): boolean
  /** Runs a function once, `delayMs` from now. Returns a function that cancels it. */
  at(delayMs: number, run: () => void): () => void
  /** Runs everything due until `atMs`, with its consequences. */
  runUntil(atMs: number): Promise<void>
  /** Adds a line to the log. */
  trace(line: string): void
  /** The digest of all lines, which is equal for equal runs. */
  hash(): string
}

interface Step {
  atMs: number
  order: number
  run: (() => void) | undefined
}

/** A tick runs when no promise callback is pending. It is cheaper than a turn of the event loop. */
const settled = () => new Promise<void>((resolve) => process.nextTick(resolve))

const isBefore = (a: Step, b: Step) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

export function createWorld(seed: number, print?: (line: string) => void): World {
  let state = Math.imul(seed + 1, 0x9e3779b1)
  let nowMs = 0
  let order = 0
  let hash = 0x811c9dc5
  const heap: Step[] = []

  // mulberry32
  function random(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  function push(step: Step): void {
    let index = heap.length
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, step)) break
      heap[index] = parent
      index = above
    }
    heap[index] = step
  }

  function pop(): Step | undefined {
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    let index = 0
    for (;;) {
      let below = 2 * index + 1
      const [left, right] = [heap[below], heap[below + 1]]
      if (left === undefined) break
      let next = left
      if (right !== undefined && isBefore(right, left)) {
        next = right
        below += 1
      }
      if (isBefore(last, next)) break
      heap[index] = next
      index = below
    }
    heap[index] = last
    return first
  }

  const between = (least: number, most: number) => least + Math.floor(random() * (most - least + 1))
  return {
    now: () => nowMs,
    random,
    between,
    chance: (probability) => random() < probability,
    pick: (choices) => choices[between(0, choices.length - 1)] as (typeof choices)[number],
    at(delayMs, run) {
      order += 1
      const step: Step = { atMs: nowMs + delayMs, order, run }
      push(step)
      return () => {
        step.run = undefined
      }
    },
    async runUntil(atMs) {
      await settled()
      for (let next = heap[0]; next !== undefined && next.atMs <= atMs; next = heap[0]) {
        pop()
        if (next.run === undefined) continue
        nowMs = next.atMs
        next.run()
        // All callbacks of settled promises run before the next step.
        await settled()
      }
      nowMs = atMs
    },
    trace(line) {
      const text = `${nowMs} ${line}`
      for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
      print?.(text)
    },
    hash: () => (hash >>> 0).toString(16),
  }
}
