import { readFileSync } from 'node:fs'
import t from 'tap'
import { createVisits } from '../../bin/import-log/visits.ts'
import { createBotDetector } from '../../views/bots.ts'

/** By what is right for them, and by kind. Written down in November 2026; the versions are examples. */
const userAgents = JSON.parse(readFileSync(new URL('../fixtures/user-agents.json', import.meta.url), 'utf8')) as Record<
  'counts' | 'refused',
  Record<string, string[]>
>

t.test(
  'browsers count, also in apps and on devices; previews, crawlers, monitors, scanners and programs do not',
  async (t) => {
    const isBot = createBotDetector()
    const visits = createVisits({ dedupSeconds: 900 })
    let found = 0
    for (const [right, kinds] of Object.entries(userAgents)) {
      for (const [kind, list] of Object.entries(kinds)) {
        for (const userAgent of list) {
          t.equal(isBot(userAgent), right === 'refused', `${kind}: ${userAgent}`)
          const logged = {
            address: '203.0.113.9',
            timeMs: 0,
            method: 'GET',
            target: '/a',
            status: 200,
            referer: undefined,
          }
          const { kind: verdict } = visits.judge({ ...logged, userAgent })
          t.equal(verdict, right === 'refused' ? 'bot' : 'view', `in a log: ${userAgent}`)
          found += 1
        }
      }
    }
    t.ok(found > 200, `${found} user agents`)
  },
)
