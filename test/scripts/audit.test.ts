import t from 'tap'
import { judgeAudit } from '../helpers/audit-verdict.ts'

t.test('an audit says that there is nothing, that there is something, or that it does not know', async (t) => {
  const metadata = { dependencies: { total: 88 } }
  const found = { vulnerabilities: { pg: { severity: 'high', range: '<8' } }, metadata }
  t.same(judgeAudit(JSON.stringify({ vulnerabilities: {}, metadata })), {
    exitCode: 0,
    sentence: 'No known weakness in 88 packages.',
  })
  t.same(judgeAudit(JSON.stringify(found)), {
    exitCode: 1,
    sentence: 'Known weaknesses, see npm audit:\n  pg <8: high',
  })
  for (const output of ['', '{"message":"405 Method Not Allowed"}', '<html>', '{"vulnerabilities":{}}'])
    t.match(judgeAudit(output), { exitCode: 2, sentence: /^Not checked: / }, output)
})
