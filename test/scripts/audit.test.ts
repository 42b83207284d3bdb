import t from 'tap'
import { readAuditReport } from '../helpers/audit-report.ts'

t.test('an audit reports no vulnerability, a vulnerability, or a failure of the registry', async (t) => {
  const metadata = { dependencies: { total: 88 } }
  const found = { vulnerabilities: { pg: { severity: 'high', range: '<8' } }, metadata }
  t.same(readAuditReport(JSON.stringify({ vulnerabilities: {}, metadata })), {
    exitCode: 0,
    sentence: 'No known vulnerability in 88 packages.',
  })
  t.same(readAuditReport(JSON.stringify(found)), {
    exitCode: 1,
    sentence: 'Known vulnerabilities, see npm audit:\n  pg <8: high',
  })
  for (const output of ['', '{"message":"405 Method Not Allowed"}', '<html>', '{"vulnerabilities":{}}'])
    t.match(readAuditReport(output), { exitCode: 2, sentence: /^Not checked: / }, output)
})
