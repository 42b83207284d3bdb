import t from 'tap'
import { decide, decideRefresh, type StoreReply } from '../../cache/decide.ts'
import type { StoredValue } from '../../cache/store.ts'

const STALE_MS = 1000
const WITHIN_MS = 300
const LEASE = { token: 'token', generation: 'g1', replaces: '', epoch: '' }

const stored = (ttlMs: number): StoredValue => ({ value: new Uint8Array([1]), ageMs: 50, ttlMs })

/** A value of each state at both ends of its time. `fresh soon stale`: within `withinMs` of a refresh. */
const AGES = {
  fresh: [stored(WITHIN_MS + 1), stored(60_000)],
  'fresh soon stale': [stored(1), stored(WITHIN_MS)],
  stale: [stored(0), stored(-STALE_MS)],
  kept: [stored(-STALE_MS - 1), stored(-60_000)],
  none: [undefined],
} as const
type Age = keyof typeof AGES
type State = StoreReply['state']

function replyOf(state: State, found: StoredValue | undefined): StoreReply {
  const said = { generation: 'g1', requestedAtMs: 7 }
  if (state === 'lease') return { ...said, state, lease: LEASE, found }
  if (state !== 'hit') return { ...said, state, retryAfterMs: 70, found }
  if (found === undefined) throw new Error('expected a value with a hit')
  return { ...said, state, found }
}

/** A decision as text, with the reason of a load and the kind of a stale reply. */
function nameOf(decision: ReturnType<typeof decide | typeof decideRefresh>): string {
  if (decision.action === 'load') return `load: ${decision.why}`
  return decision.action === 'serve-stale' && decision.isFailSafe ? 'fail-safe' : decision.action
}

const READ: Record<State, Partial<Record<Age, string>>> = {
  hit: { fresh: 'serve', 'fresh soon stale': 'serve' },
  lease: {
    fresh: 'serve-and-refresh',
    'fresh soon stale': 'serve-and-refresh',
    stale: 'serve-and-refresh',
    kept: 'load: load',
    none: 'load: load',
  },
  wait: { fresh: 'serve-stale', 'fresh soon stale': 'serve-stale', stale: 'serve-stale', kept: 'wait', none: 'wait' },
  cooling: {
    fresh: 'fail-safe',
    'fresh soon stale': 'fail-safe',
    stale: 'fail-safe',
    kept: 'fail-safe',
    none: 'fail',
  },
}

const READ_WITHOUT_BACKGROUND_WORK: typeof READ = {
  ...READ,
  lease: {
    fresh: 'load: refresh',
    'fresh soon stale': 'load: refresh',
    stale: 'load: refresh',
    kept: 'load: load',
    none: 'load: load',
  },
}

const all = (action: string) => ({
  fresh: action,
  'fresh soon stale': action,
  stale: action,
  kept: action,
  none: action,
})

const REFRESH_SOON_STALE: typeof READ = {
  hit: { fresh: 'serve', 'fresh soon stale': 'force' },
  lease: all('load: refresh'),
  wait: all('read'),
  cooling: all('read'),
}

const REFRESH_ALWAYS: typeof READ = { ...REFRESH_SOON_STALE, hit: { fresh: 'force', 'fresh soon stale': 'force' } }

for (const [name, table, run] of [
  ['a read', READ, (reply) => decide(reply, { staleMs: STALE_MS, backgroundWork: true })],
  [
    'a read without background work',
    READ_WITHOUT_BACKGROUND_WORK,
    (reply) => decide(reply, { staleMs: STALE_MS, backgroundWork: false }),
  ],
  ['a refresh of what is stale soon', REFRESH_SOON_STALE, (reply) => decideRefresh(reply, WITHIN_MS)],
  ['a refresh in any case', REFRESH_ALWAYS, (reply) => decideRefresh(reply, Infinity)],
] as [string, typeof READ, (reply: StoreReply) => ReturnType<typeof decide | typeof decideRefresh>][]) {
  t.test(`the decision table of ${name}`, async (t) => {
    let cells = 0
    for (const state of ['hit', 'lease', 'wait', 'cooling'] as const) {
      for (const age of Object.keys(AGES) as Age[]) {
        // A hit is fresh by definition.
        if (state === 'hit' && !age.startsWith('fresh')) continue
        cells += 1
        for (const found of AGES[age])
          t.equal(nameOf(run(replyOf(state, found))), table[state][age], `${state}, ${age} (${found?.ttlMs} ms)`)
      }
    }
    t.equal(cells, 17)
  })
}

t.test('a decision carries what its action needs', async (t) => {
  const options = { staleMs: STALE_MS, backgroundWork: true }
  const value = stored(-1)
  const reply = replyOf('lease', value)
  t.strictSame(decide(replyOf('hit', stored(1)), options), { action: 'serve', value: stored(1) })
  t.strictSame(decide(reply, options), { action: 'serve-and-refresh', value, reply })
  t.strictSame(decideRefresh(reply, Infinity), { action: 'load', why: 'refresh', reply })
  t.strictSame(decide(replyOf('wait', value), options), { action: 'serve-stale', value, isFailSafe: false })
  t.strictSame(decide(replyOf('cooling', value), options), { action: 'serve-stale', value, isFailSafe: true })
  t.strictSame(decide(replyOf('wait', undefined), options), { action: 'wait', retryAfterMs: 70 })
  t.strictSame(decide(replyOf('cooling', undefined), options), { action: 'fail', retryAfterMs: 70 })
})
