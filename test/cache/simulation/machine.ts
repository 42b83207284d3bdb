import type { Clock } from '../../../lib/clock.ts'
import type { World } from './world.ts'

/** The machine of a process. It can crash, freeze, thaw, and lose its connection to the store. */
export interface Machine {
  name: string
  clock: Clock
  isCrashed(): boolean
  isFrozen(): boolean
  /** The last time at which it froze, crashed, or had a lost or late command; waiters may have timed out since then. */
  lastTroubleMs(): number
  trouble(): void
  /** Runs code of the process now, after the thaw, or never. */
  enter(run: () => void): void
  crash(): void
  freeze(): void
  thaw(): void
  /** Cuts the connection to the store: commands are refused or lost. */
  cut(how: 'refused' | 'silent' | undefined): void
  /** Sends a command to the store, with a delay for the command and one for the reply. */
  command<T>(work: () => Promise<T>): Promise<T>
}

/** The timeout of a command is longer than any two of these delays together. */
const DELAYS_MS = { usual: 4, slow: 100, late: 400 }

export interface Surroundings {
  deadlineMs: number
  isStoreUp: () => boolean
  /** Only short delays. */
  isPeace: () => boolean
}

export function createMachine(world: World, name: string, { deadlineMs, isStoreUp, isPeace }: Surroundings): Machine {
  let state: 'running' | 'frozen' | 'crashed' = 'running'
  let cut: 'refused' | 'silent' | undefined
  let lastTroubleMs = Number.NEGATIVE_INFINITY
  let held: (() => void)[] = []
  // The clocks of machines differ by minutes.
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
      // Timers and replies that were due during the freeze run in any order.
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
