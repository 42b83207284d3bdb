import { PACE } from '../../../cache/protocol.ts'
import type { Acquired, Committed, InvalidateMode, Lease, Store } from '../../../cache/store.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

/** A running read. */
export interface Reading {
  machine: Machine
  key: string
  startedAtMs: number
  /** The oldest version that it may return: that of the last hard invalidation confirmed before its start. */
  floor: number
  /** The store was unreachable: the read may return a value that this process loaded during the outage. */
  isAlone: boolean
}

/** A loaded value: its version, and the process and the end of its load. */
export const encode = (version: number, load: number) => Buffer.from(`${version} ${load}`)
export function decode(value: Uint8Array): { version: number; load: number } {
  const [version, load] = Buffer.from(value).toString().split(' ')
  return { version: Number(version), load: Number(load) }
}

export type History = ReturnType<typeof createHistory>

/** Records a run, and throws when it breaks a promise. */
export function createHistory(world: World, bounds: { localMs: number; maxStaleMs: number }) {
  let version = 1
  let confirmed = 1
  let storeFloor = 1
  const readings = new Set<Reading>()
  const loadsEnded = new Map<number, number>()
  const broken: string[] = []
  const leases = new Map<string, { machine: Machine; token: string; atMs: number; isOver: boolean }>()
  const kept = new Map<string, { hard: string; keptUntilMs: number; lastsUntilMs: number }>()
  const stored = new Map<string, number>()
  const commits = new Set<string>()
  const pauses = {
    hard: { sinceMs: Number.NEGATIVE_INFINITY, slowestMs: 0 },
    soft: { sinceMs: Number.NEGATIVE_INFINITY, slowestMs: 0 },
  }
  const given = new Map<string, { machine: Machine; key: string; atMs: number }>()

  function breaks(promise: string): void {
    world.trace(`BROKEN ${promise}`)
    broken.push(`${world.now()} ms: ${promise}`)
  }

  /** (b) At most one load per generation and entry, unless its holder had a fault or was done. */
  function leased(key: string, { generation, token }: Lease, machine: Machine): void {
    const place = `${key} ${generation}`
    const before = leases.get(place)
    if (before !== undefined && !before.isOver && before.machine.lastTroubleMs() < before.atMs)
      breaks(`a second lease of ${place}: ${machine.name} while ${before.machine.name} holds it`)
    leases.set(place, { machine, token, atMs: world.now(), isOver: false })
  }

  /**
   * (h) A value replaces none that was loaded after it, and that is still kept. Loads have numbers in the order of their start.
   */
  function stores(key: string, { generation }: Lease, value: Uint8Array, { name }: Machine): void {
    const place = `${key} ${hardOf(generation)}`
    const { load } = decode(value)
    if (load < (stored.get(place) ?? 0) && isKept(key))
      breaks(`${name} stores load ${load} of ${place} over a newer one`)
    stored.set(place, load)
  }

  const hardOf = (generation = '') => generation.split('.')[0] ?? ''
  const isKept = (key: string) => (kept.get(key)?.keptUntilMs ?? 0) > world.now()

  /** (g) An entry is kept for the time of its commit, which depends on whether it is read again. */
  function found(key: string, acquired: Acquired): void {
    const entry = kept.get(key)
    if (entry?.hard !== hardOf(acquired.generation)) return
    const mustBeThere = entry.keptUntilMs > world.now()
    if (mustBeThere && acquired.found === undefined) breaks(`${key} is gone before its time`)
    if (!mustBeThere && acquired.found !== undefined) breaks(`${key} is there after its time`)
    entry.keptUntilMs = mustBeThere ? entry.lastsUntilMs : entry.keptUntilMs
  }

  return {
    broken,
    readings,
    version: () => version,
    loadEnded: (load: number) => loadsEnded.set(load, world.now()),

    /** Records a new version. Call the returned function when its hard invalidation is confirmed. */
    publish(): () => void {
      version += 1
      const published = version
      return () => {
        confirmed = Math.max(confirmed, published)
      }
    },

    startReading(machine: Machine, key: string): Reading {
      const reading = { machine, key, startedAtMs: world.now(), floor: confirmed, isAlone: false }
      readings.add(reading)
      return reading
    },

    /** (a) A read after a confirmed hard invalidation returns no older value, except during an outage of the store. */
    answered(reading: Reading, value: Uint8Array): void {
      readings.delete(reading)
      const { version: got, load } = decode(value)
      world.trace(`${reading.machine.name} ${reading.key} answers ${got}`)
      if (got >= reading.floor) return
      // As of its beginning: it may wait for a slot in vain, or freeze, and then answer what was found before.
      const sinceMs = reading.startedAtMs - (loadsEnded.get(load) ?? Number.NEGATIVE_INFINITY)
      if (!reading.isAlone) breaks(`${reading.machine.name} answers ${got} after ${reading.floor} was confirmed`)
      else if (sinceMs > bounds.localMs + bounds.maxStaleMs)
        breaks(`${reading.machine.name}, cut off, answers ${got}, loaded ${sinceMs} ms ago`)
    },

    failed(reading: Reading, error: unknown): void {
      readings.delete(reading)
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      world.trace(`${reading.machine.name} ${reading.key} ${code}`)
      if (!code.startsWith('PP_')) breaks(`a read fails with ${code}`)
    },

    /** The recorded shared store; `machine` sends the commands. */
    watchShared(store: Store, machine: Machine): Store {
      return {
        ...store,
        async acquire(key, request) {
          const acquired = await store.acquire(key, request)
          found(key, acquired)
          if (acquired.state === 'lease') leased(key, acquired.lease, machine)
          return acquired
        },
        async commit(key, lease, value, lifetime) {
          const committed = await store.commit(key, lease, value, lifetime)
          if (committed === 'stored') stores(key, lease, value, machine)
          // A commit that is sent again has no effect while its value is there.
          if (committed === 'stored' && commits.has(lease.token) && isKept(key)) return committed
          const { loadedInMs = 0 } = lifetime
          for (const pause of Object.values(pauses)) pause.slowestMs = Math.max(pause.slowestMs, loadedInMs)
          const held = leases.get(`${key} ${lease.generation}`)
          if (committed === 'stored' && held !== undefined) held.isOver = true
          if (committed === 'stored') {
            commits.add(lease.token)
            const { keepForMs, unreadForMs = keepForMs } = lifetime
            const now = world.now()
            const [keptUntilMs, lastsUntilMs] = [now + unreadForMs, now + keepForMs]
            kept.set(key, { hard: hardOf(lease.generation), keptUntilMs, lastsUntilMs })
          }
          // (f)
          if (committed === 'stored' && decode(value).version < storeFloor)
            breaks(`${machine.name} stores ${decode(value).version}, invalidated by ${storeFloor}`)
          return committed
        },
        async fail(key, lease, coolDown) {
          const held = leases.get(`${key} ${lease.generation}`)
          if (held !== undefined) held.isOver = true
          return store.fail(key, lease, coolDown)
        },
        async release(key, lease) {
          for (const held of leases.values()) if (held.token === lease.token) held.isOver = true
          return store.release(key, lease)
        },
      }
    },
    /** (h) Changes keep a distance from each other, of all processes together, in which a load and its repetition end. */
    endedByChange(mode: InvalidateMode): void {
      const { sinceMs, slowestMs } = pauses[mode]
      const agoMs = world.now() - sinceMs
      if (agoMs < Math.max(PACE.shortestMs[mode], Math.min(2 * slowestMs, PACE.longestMs)))
        breaks(`a ${mode} change ends a generation ${agoMs} ms after another, and a load takes ${slowestMs} ms`)
      pauses.soft = { sinceMs: world.now(), slowestMs: 0 }
      if (mode === 'hard') pauses.hard = { sinceMs: world.now(), slowestMs: 0 }
    },

    /** The shared store has lost everything. */
    lostShared(): void {
      for (const pause of Object.values(pauses)) pause.sinceMs = Number.NEGATIVE_INFINITY
      for (const pause of Object.values(pauses)) pause.slowestMs = 0
    },

    invalidatedShared: (published: number) => {
      storeFloor = Math.max(storeFloor, published)
    },

    /** The recorded stores of a process: records when the process uses its local store. */
    watchOwn(store: Store, machine: Machine): Store {
      const alone = (key: string, startedBeforeMs = Number.POSITIVE_INFINITY) => {
        for (const reading of readings)
          if (reading.machine === machine && reading.key === key && reading.startedAtMs <= startedBeforeMs)
            reading.isAlone = true
      }
      return {
        ...store,
        async acquire(key, request): Promise<Acquired> {
          const acquired = await store.acquire(key, request)
          if (acquired.generation === undefined) alone(key)
          if (acquired.state === 'lease') given.set(acquired.lease.token, { machine, key, atMs: world.now() })
          return acquired
        },
        async commit(key, lease, value, lifetime): Promise<Committed> {
          const committed = await store.commit(key, lease, value, lifetime)
          const leasedAtMs = given.get(lease.token)?.atMs ?? 0
          if (lease.isLocal || committed === 'unconfirmed') alone(key, leasedAtMs + bounds.maxStaleMs)
          return committed
        },
        async fail(key, lease, coolDown) {
          if (lease.isLocal) alone(key)
          return store.fail(key, lease, coolDown)
        },
      }
    },
    breaks,
  }
}
