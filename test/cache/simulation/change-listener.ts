import type { ReadThroughCache } from '../../../cache/options.ts'
import { type ChangeEvent, createChangeThrottle } from '../../../changes/throttle.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

/** A change of the database. Without a name it was found by comparing. */
interface Change extends Pick<ChangeEvent, 'mode' | 'name'> {
  /** Tells that it is made, and that no copy from before is left. */
  confirm: () => void
}

/** A process's connection to the database, and what it does about the changes that it hears of. */
export function createChangeListener(
  world: World,
  machine: Machine,
  invalidate: ReadThroughCache['invalidateForChange'],
  { maxStaleMs }: { maxStaleMs: number },
) {
  const buffered: Change[] = []
  let heard: Change[] = []
  let arrivedMs = 0

  const throttle = createChangeThrottle({
    clock: machine.clock,
    async apply(mode, change) {
      const made = heard
      heard = []
      const applied = await invalidate(mode, change).catch((error) => {
        heard.unshift(...made)
        throw error
      })
      if (applied.state === 'paced') heard.unshift(...made)
      else if (mode === 'hard') for (const { confirm } of made) world.at(maxStaleMs, confirm)
      world.trace(`${machine.name} ${made.length} changes ${applied.state}`)
      return applied
    },
    onFailure: () => {},
  })

  function hear(): void {
    for (const change of buffered.splice(0)) {
      heard.push(change)
      throttle.add({ mode: change.mode, name: change.name, isNotification: change.name !== undefined })
    }
  }

  return {
    /** A change is on its way. Changes arrive in their order, also at a frozen process. */
    send(change: Change): void {
      arrivedMs = Math.max(arrivedMs, world.now() + world.between(0, 40))
      world.at(arrivedMs - world.now(), () => {
        buffered.push(change)
        machine.enter(hear)
      })
    },
    /** How many changes it has heard of, and not made. */
    waiting: () => heard.length,
  }
}
