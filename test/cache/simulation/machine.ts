import type { Clock } from '../../../lib/clock.ts'
import type { World } from './world.ts'

/** What a process runs on: it may crash, freeze and thaw, and lose its way to the store. */
export interface Machine {
  name: string
  clock: Clock
  isCrashed(): boolean
  isFrozen(): boolean
  /** When it last froze, crashed, or had a command lost or late: whoever waited for it since then may have given up. */
  lastTroubleMs(): number
  trouble(): void
  /** Code of the process: runs now, after the thaw, or never. */
  enter(run: () => void): void
  crash(): void
  freeze(): void
  thaw(): void
  /** Cuts the way to the store: commands are refused, or vanish. */
  cut(how: 'refused' | 'silent' | undefined): void
  /** A command to the store and its answer, on their way for a while each. */
  command<T>(work: () => Promise<T>): Promise<T>
}

/** Longer than any two of these together, a command has timed out. */
const DELAYS_MS = { usual: 4, slow: 100, late: 400 }

export interface Surroundings {
  deadlineMs: number
  isStoreUp: () => boolean
  /** No delays beyond the usual. */
  isPeace: () => boolean
}

export function createMachine(world: World, name: string, { deadlineMs, isStoreUp, isPeace }: Surroundings): Machine {
  let state: 'running' | 'frozen' | 'crashed' = 'running'
  let cut: 'refused' | 'silent' | undefined
  let lastTroubleMs = Number.NEGATIVE_INFINITY
  let held: (() => void)[] = []
  // Clocks of machines are minutes apart.
  const offsetMs = world.between(0, 600_000)

  const trouble = () => {
    lastTroubleMs = world.now()
  }
  function enter(run: () => void): void {
    if (state === 'frozen') held.push(run)
    else if (state === 'running') run()
  }
  function delay(): number {
    const roll = isPeace() ? 0 : world.random()
    return world.between(0, roll < 0.9 ? DELAYS_MS.usual : roll < 0.985 ? DELAYS_MS.slow : DELAYS_MS.late)
  }
  const isReachable = () => cut === undefined && isStoreUp()

  return {
    name,
    clock: {
      now: () => world.now() + offsetMs,
      schedule(delayMs, run) {
        let isCancelled = false
        const cancel = world.at(delayMs, () => enter(() => isCancelled || run()))
        return () => {
          isCancelled = true
          cancel()
        }
      },
    },
    isCrashed: () => state === 'crashed',
    isFrozen: () => state === 'frozen',
    lastTroubleMs: () => (state === 'running' ? lastTroubleMs : world.now()),
    trouble,
    enter,
    crash() {
      state = 'crashed'
      held = []
    },
    freeze() {
      state = 'frozen'
    },
    thaw() {
      trouble()
      state = 'running'
      // What came meanwhile, timers and answers, in any order.
      const waiting = held.map((run) => ({ run, order: world.random() })).sort((a, b) => a.order - b.order)
      held = []
      for (const { run } of waiting) world.at(0, () => enter(run))
    },
    cut(how) {
      cut = how
    },
    command<T>(work: () => Promise<T>): Promise<T> {
      const [outMs, backMs] = [delay(), delay()]
      const startedAtMs = world.now()
      return new Promise<T>((resolve, reject) => {
        const lose = () => {
          trouble()
          if (cut === 'refused') world.at(1, () => enter(() => reject(new Error('ECONNREFUSED'))))
        }
        world.at(outMs, () => {
          if (!isReachable()) return lose()
          void work().then((answer) =>
            world.at(backMs, () => {
              if (world.now() - startedAtMs >= deadlineMs) trouble()
              if (!isReachable()) lose()
              else enter(() => resolve(answer))
            }),
          )
        })
      })
    },
  }
}
