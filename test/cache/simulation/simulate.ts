import { createFailoverStore, type FailoverStore } from '../../../cache/failover-store.ts'
import { createMemoryStore } from '../../../cache/memory-store.ts'
import type { ReadThroughCache } from '../../../cache/options.ts'
import { createReadThroughCache } from '../../../cache/read-through-cache.ts'
import type { InvalidateMode, Store, StoredValue } from '../../../cache/store.ts'
import { createNames } from '../../helpers/virtual-clock.ts'
import { createChangeListener } from './change-listener.ts'
import { createHistory, decode, encode } from './history.ts'
import { createMachine, type Machine } from './machine.ts'
import { createWorld, type World } from './world.ts'

const MACHINES = 4
const KEYS = ['a', 'b', 'c'] as const
const RANKS = { a: 0, b: 1, c: 2 } as const
type Key = (typeof KEYS)[number]
const FAULTS_END_MS = 10_000
const NEAR = { maxStaleMs: 1000 }
const FAILOVER = { deadlineMs: 150, retryAfterMs: 1000, localMs: 5000 }
const LEASE_MS = 3000
const LOAD_TIMEOUT_MS = 6000
/** Longer than a run may take: a reader that waits in vain must be seen, and not get an error instead. */
const WAIT_TIMEOUT_MS = 500_000
const COOL_DOWN = { firstMs: 500, maxMs: 5000 }
const POLL = { firstMs: 25, longestMs: 250 }
const LOADS = { max: 3, maxWaiting: 2, patienceMs: 1000 }

/** A deliberate fault of the algorithm, as wrappers of its parts. */
export interface Break {
  shared?: (store: Store, world: World) => Store
  backup?: (store: Store) => Store
  cache?: (cache: ReadThroughCache, machine: Machine) => ReadThroughCache
  near?: typeof NEAR
  failover?: Partial<typeof FAILOVER>
  loads?: typeof LOADS
}

interface Invalidation {
  mode: InvalidateMode
  cause?: string
  confirm: () => void
  onDone?: ((isConfirmed: boolean) => void) | undefined
}

interface Process {
  machine: Machine
  cache: ReadThroughCache
  store: FailoverStore
  changes: ReturnType<typeof createChangeListener>
}

/** Simulates four processes over one store: ten seconds with faults, then more than a minute without faults. */
export async function simulate(seed: number, broken: Break = {}, print?: (line: string) => void) {
  const world = createWorld(seed, print)
  const history = createHistory(world, { ...FAILOVER, ...NEAR })
  const nonce = createNames()
  const worldClock = { now: world.now, schedule: world.at }
  const newStore = () => createMemoryStore({ clock: worldClock, nonce, maxEntries: 8 })
  const breakShared = broken.shared ?? ((store: Store) => store)
  let shared = breakShared(newStore(), world)
  let isStoreUp = true
  let isPeace = false
  const invalidating = new Set<{ machine: Machine }>()
  let loads = 0
  const running = new Map<Machine, number>()
  // The random parameters of this day.
  const ttlMs = world.pick([1500, 60_000])
  const staleMs = world.pick([0, 2000, 20_000])
  const unreadMs = world.pick([300, 1000])
  const slowLoads = world.pick([0.02, 0.1])
  const failingLoads = world.pick([0, 0.05, 0.3])
  const faults = world.pick([0.02, 0.1, 0.2])
  const pauseMs = world.pick([40, 80])
  const invalidations = world.pick([0.005, 0.1, 0.1])
  const refreshes = world.pick([0.03, 0.2])
  const changes = world.pick([0.03, 0.03, 0.3])

  const processes: Process[] = []
  const check = (_answer: StoredValue): void => {}
  const everybody = (run: (process: Process) => void) => {
    for (const process of processes) run(process)
  }

  function tell(message: string): void {
    everybody(({ machine, cache }) => {
      if (world.chance(0.7)) world.at(world.between(0, 300), () => machine.enter(() => cache.onStoreMessage(message)))
    })
  }

  /** The shared store behind the network of a machine. */
  function reach(machine: Machine): Store {
    const on = () => history.watchShared(shared, machine)
    return {
      acquire: (key, request) => machine.command(() => on().acquire(key, request)),
      commit: (key, lease, value, times) => {
        // A client sends a command again when the connection broke before the reply.
        if (!isPeace && world.chance(0.05))
          world.at(world.between(1, 5000), () => void on().commit(key, lease, value, times))
        return machine.command(async () => {
          const committed = await on().commit(key, lease, value, times)
          if (committed === 'stored') tell(`committed ${key}`)
          return committed
        })
      },
      renew: (key, lease, leaseMs) => machine.command(() => on().renew(key, lease, leaseMs)),
      fail: (key, lease, coolDown) => machine.command(() => on().fail(key, lease, coolDown)),
      release: (key, lease) => machine.command(() => on().release(key, lease)),
      invalidate: (mode, cause) => {
        const published = history.version()
        return machine.command(async () => {
          const isEnded = await on().invalidate(mode, cause)
          if (!isEnded) return false
          history.invalidatedShared(published)
          tell('invalidated')
          return true
        })
      },
      invalidateForChange: (mode, change) => {
        const published = history.version()
        return machine.command(async () => {
          const applied = await on().invalidateForChange(mode, change)
          if (applied.state !== 'ended') return applied
          history.invalidatedShared(published)
          history.endedByChange(mode)
          tell('invalidated')
          return applied
        })
      },
      invalidateKey: (key) => machine.command(() => on().invalidateKey(key)),
      generation: () => machine.command(() => on().generation()),
    }
  }

  function start(index: number): void {
    const machine = createMachine(world, `p${index}`, {
      deadlineMs: FAILOVER.deadlineMs,
      isStoreUp: () => isStoreUp,
      isPeace: () => isPeace,
    })
    const { clock } = machine
    const backup = createMemoryStore({ clock, nonce, maxEntries: 8 })
    const observe = (event: { type: string }) => {
      world.trace(`${machine.name} ${event.type}`)
      // A command that timed out may still have acquired a lease, which expires.
      if (event.type === 'store-down') machine.trouble()
    }
    const store = createFailoverStore({
      primary: reach(machine),
      backup: broken.backup?.(backup) ?? backup,
      clock,
      observe,
      ...FAILOVER,
      ...broken.failover,
    })
    const cache = createReadThroughCache({
      store: history.watchOwn(store, machine),
      clock,
      random: world.random,
      nonce,
      observe,
      near: broken.near ?? NEAR,
      policy: {
        ttlMs,
        staleMs,
        failSafeMs: 100_000,
        leaseMs: LEASE_MS,
        loadTimeoutMs: LOAD_TIMEOUT_MS,
        waitTimeoutMs: WAIT_TIMEOUT_MS,
        coolDown: COOL_DOWN,
        poll: POLL,
        unreadMs,
        loads: broken.loads ?? LOADS,
      },
    })
    const changes = createChangeListener(world, machine, cache.invalidateForChange, NEAR)
    processes[index] = { machine, store, changes, cache: broken.cache?.(cache, machine) ?? cache }
  }
  for (let index = 0; index < MACHINES; index += 1) start(index)

  /** The expensive query. It reads the version at its start or at a later time. */
  const loadOn = (machine: Machine) => () => {
    loads += 1
    const load = loads
    const atOnce = (running.get(machine) ?? 0) + 1
    running.set(machine, atOnce)
    if (atOnce > LOADS.max) history.breaks(`${machine.name} runs ${atOnce} loads at once`)
    let isCounted = true
    const isOver = () => {
      if (isCounted) running.set(machine, (running.get(machine) ?? 0) - 1)
      isCounted = false
    }
    // The load of a process that freezes may take longer than it may hold its slot.
    world.at(2 * LOAD_TIMEOUT_MS - 1, isOver)
    const isSlow = !isPeace && world.chance(slowLoads)
    const durationMs = isSlow ? world.between(1000, 1.5 * LOAD_TIMEOUT_MS) : world.between(1, 300)
    const isFailing = !isPeace && world.chance(failingLoads)
    return new Promise<Uint8Array>((resolve, reject) => {
      let seen = history.version()
      if (world.chance(0.3)) {
        world.at(world.random() * durationMs, () => {
          seen = history.version()
        })
      }
      const end = () => {
        history.loadEnded(load)
        isOver()
        if (isFailing) reject(new Error('the database failed'))
        else resolve(encode(seen, load))
      }
      world.at(durationMs, () => machine.enter(end))
    })
  }

  function read({ machine, cache }: Process, key: Key, how: 'read' | 'refresh' = 'read', onAnswer = check) {
    const reading = history.startReading(machine, key)
    const [load, rank] = [loadOn(machine), RANKS[key]]
    const answer = how === 'read' ? cache.read(key, load, rank) : cache.refresh(key, load, { rank })
    answer.then(
      (answer) => {
        history.answered(reading, answer.value)
        onAnswer(answer)
      },
      (error) => history.failed(reading, error),
    )
  }

  function publish(process: Process, mode: InvalidateMode, onDone?: (isConfirmed: boolean) => void) {
    const confirm = history.publish()
    world.trace(`${process.machine.name} publishes ${history.version()} ${mode}`)
    invalidate(process, { mode, confirm, onDone })
  }

  /** A change that the database tells of: each process hears of it at about the same time, in the same order. */
  function change(mode: InvalidateMode) {
    const confirm = history.publish()
    const name = world.chance(0.8) ? `change ${history.version()}` : undefined
    world.trace(`${name} ${mode} in the database`)
    everybody(({ changes }) => changes.send({ mode, name, confirm }))
  }

  /** A change that the hosts of all processes hear of at about the same time, and act on under one name. */
  function announce(mode: InvalidateMode) {
    const confirm = history.publish()
    const cause = `news ${history.version()}`
    world.trace(`${cause} ${mode} is announced`)
    everybody((process) => {
      const { machine } = process
      world.at(world.between(0, 40), () => machine.enter(() => invalidate(process, { mode, confirm, cause })))
    })
  }

  function invalidate({ machine, cache }: Process, { mode, cause, confirm, onDone = () => {} }: Invalidation) {
    const invalidation = { machine }
    invalidating.add(invalidation)
    const end = (isConfirmed: boolean) => {
      invalidating.delete(invalidation)
      onDone(isConfirmed)
    }
    cache.invalidate(mode, { idempotencyKey: cause }).then(
      () => {
        world.trace(`${machine.name} ${mode} confirmed`)
        if (mode === 'hard') confirm()
        end(true)
      },
      (error) => {
        if (error?.code !== 'PP_UNCONFIRMED') history.breaks(`an invalidation fails with ${error}`)
        end(false)
      },
    )
  }

  function fault(index: number): void {
    const process = processes[index]
    if (process === undefined) return
    const { machine, store } = process
    const lengthMs = world.pick([60, 300, 1200, 4500])
    const kind = world.pick(['freeze', 'freeze', 'freeze', 'crash', 'cut', 'cut', 'outage', 'loss'])
    world.trace(`${machine.name} ${kind} ${lengthMs}`)
    if (kind === 'freeze' && !machine.isFrozen()) {
      machine.freeze()
      world.at(lengthMs, () => machine.isCrashed() || machine.thaw())
    } else if (kind === 'crash') {
      machine.crash()
      for (const reading of history.readings) if (reading.machine === machine) history.readings.delete(reading)
      start(index)
    } else if (kind === 'cut') {
      machine.cut(world.pick(['refused', 'silent']))
      world.at(lengthMs, () => {
        machine.cut(undefined)
        if (world.chance(0.5)) machine.enter(store.probeNow)
      })
    } else if (kind === 'outage' && isStoreUp) {
      isStoreUp = false
      world.at(lengthMs, () => {
        isStoreUp = true
      })
    } else if (kind === 'loss') {
      shared = breakShared(newStore(), world)
      history.lostShared()
    }
  }

  function step(): void {
    if (world.now() >= FAULTS_END_MS) return
    const index = world.between(0, MACHINES - 1)
    const process = processes[index]
    const key = world.pick(KEYS)
    const roll = world.random()
    if (process === undefined) return
    // Requests to a frozen process wait.
    if (roll < faults) fault(index)
    else if (roll < faults + 0.7 * invalidations)
      process.machine.enter(() => publish(process, world.chance(0.6) ? 'hard' : 'soft'))
    else if (roll < faults + invalidations) announce(world.chance(0.6) ? 'hard' : 'soft')
    else if (roll < faults + invalidations + refreshes) process.machine.enter(() => read(process, key, 'refresh'))
    else if (roll < faults + invalidations + refreshes + changes) change(world.chance(0.6) ? 'hard' : 'soft')
    else for (let n = world.pick([1, 1, 3]); n > 0; n -= 1) process.machine.enter(() => read(process, key))
    world.at(world.chance(0.2) ? 0 : world.between(0, 2 * pauseMs), step)
  }

  step()
  await world.runUntil(FAULTS_END_MS)
  isPeace = true
  // Time for the longest fault, for the tasks that began during it, and for two pauses of changes.
  await world.runUntil(FAULTS_END_MS + 70_000)
  // (c) Every read gets a reply.
  for (const { machine, key, startedAtMs } of history.readings)
    history.breaks(`${machine.name} has waited for ${key} since ${startedAtMs} ms`)
  for (const { machine } of invalidating)
    if (!machine.isCrashed()) history.breaks(`${machine.name} is still invalidating`)
  // (i) No change is lost: every process knows that all it has heard of are made.
  for (const { machine, changes } of processes)
    if (changes.waiting() > 0) history.breaks(`${machine.name} still has ${changes.waiting()} changes to make`)

  const readAll = (onAnswer = check) =>
    everybody((process) => {
      for (const key of KEYS) read(process, key, 'read', onAnswer)
    })
  // A process that still treats the store as down probes it.
  readAll()
  await world.runUntil(FAULTS_END_MS + 72_000)
  // (d), (e) After one more invalidation, hard or soft, every process returns the newest version, fresh.
  let isConfirmed = false
  const last = processes[world.between(0, MACHINES - 1)]
  if (last !== undefined)
    publish(last, world.pick(['hard', 'soft']), (itIs) => {
      isConfirmed = itIs
    })
  await world.runUntil(FAULTS_END_MS + 75_000)
  if (!isConfirmed) history.breaks('in peace an invalidation is not confirmed')
  readAll()
  let answers = 0
  await world.runUntil(FAULTS_END_MS + 76_200)
  readAll(({ value, ttlMs }) => {
    answers += 1
    const { version } = decode(value)
    if (version !== history.version()) history.breaks(`in peace ${version} is answered, not ${history.version()}`)
    if (ttlMs <= 0) history.breaks('in peace an answer is stale')
  })
  await world.runUntil(FAULTS_END_MS + 77_000)
  if (answers !== MACHINES * KEYS.length) history.breaks('in peace not all are answered')
  return { broken: history.broken, hash: world.hash(), loads }
}
