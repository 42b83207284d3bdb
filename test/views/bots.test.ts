import { readFileSync } from 'node:fs'
import t from 'tap'
import { createVisits } from '../../bin/import-log/visits.ts'
import { createBotDetector } from '../../views/bots.ts'

type BySource = Record<string, string[]>

/** User agents as published lists and makers quote them: by what is right for them, by kind, and by the list. */
const { sources, ...userAgents } = JSON.parse(
  readFileSync(new URL('../fixtures/user-agents.json', import.meta.url), 'utf8'),
) as { sources: Record<string, string> } & Record<'counts' | 'refused', Record<string, BySource>>

t.test(
  'browsers count, also in apps and on devices; previews, crawlers, monitors, scanners and programs do not',
  async (t) => {
    const isBot = createBotDetector()
    const visits = createVisits({})
    let found = 0
    for (const [right, kinds] of Object.entries(userAgents)) {
      for (const [kind, bySource] of Object.entries(kinds)) {
        const list = Object.entries(bySource).flatMap(([source, all]) => all.map((one) => [source, one] as const))
        for (const [source, userAgent] of list) {
          t.ok(sources[source], `${source} is a source`)
          t.equal(isBot(userAgent), right === 'refused', `${kind}: ${userAgent}`)
          const logged = {
            address: '203.0.113.9',
            timeMs: 0,
            method: 'GET',
            target: '/a',
            status: 200,
            host: undefined,
            referer: undefined,
          }
          const { kind: verdict } = visits.judge({ ...logged, userAgent })
          t.equal(verdict, right === 'refused' ? 'bot' : 'visit', `in a log: ${userAgent}`)
          found += 1
        }
      }
    }
    t.ok(found > 480, `${found} user agents`)
  },
)

t.test('the name of an app or of a phone does not hide a bot', async (t) => {
  const isBot = createBotDetector()
  for (const userAgent of [
    'Mozilla/5.0 (Linux; Android 13; Discovery SE) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 (Linux; Android 13; Discovery SE) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Mobile Safari/537.36 Chrome-Lighthouse',
    'Mozilla/5.0 (Linux; Android 10; Spider Build/1; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/88.0 Mobile Safari/537.36 SohuNews/6.7.8',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 13_3_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 baiduboxapp/11.20.0.17 (compatible; Baiduspider-render/2.0; +http://www.baidu.com/search/spider.html)',
  ])
    t.ok(isBot(userAgent), userAgent)
})
