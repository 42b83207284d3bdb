import t from 'tap'
import { loggedError } from '../../lib/logged-error.ts'
import { redact } from '../../lib/redact.ts'

t.test('URLs, addresses and secrets are not shown', async (t) => {
  for (const [text, expected] of [
    ['no answer from postgres://u:hunter2@db.example:5432/blog?x=1', 'no answer from (not shown)'],
    ['GET "https://cms.example/api?token=hunter2" failed: 502', 'GET "(not shown)" failed: 502'],
    ['connect ECONNREFUSED 10.1.2.3:5432', 'connect ECONNREFUSED (not shown)'],
    ['connect to 10.1.2.3 failed', 'connect to (not shown) failed'],
    ['connect EHOSTUNREACH [2001:db8::1]:5432', 'connect EHOSTUNREACH (not shown)'],
    ['connect EHOSTUNREACH 2001:db8::8:800:200c:417a', 'connect EHOSTUNREACH (not shown)'],
    ['password=hunter2 is wrong', 'password=(not shown) is wrong'],
    ['{"api_key": "hunter2"}', '{"api_key": (not shown)"}'],
    ['Authorization: Bearer hunter2', 'Authorization: (not shown)'],
  ] as const)
    t.equal(redact(text), expected)
})

t.test('other texts stay', async (t) => {
  for (const text of [
    'column "titel" does not exist in my own query',
    'at load (file:///app/load.ts:12:5)',
    'at node:internal/process/task_queues:95:5',
    'PostgreSQL 17.2 at 12:30:05, version 1.2.3',
    'Expected the token to be a text',
  ])
    t.equal(redact(text), text)
  t.ok(redact(`${'a'.repeat(5_000)}:${'1:'.repeat(2_500)}`).length > 0, 'a long text takes no time')
})

t.test('the message of an error of a host is logged, without addresses, also in its stack and causes', async (t) => {
  const cause = new Error('10.0.0.9:5432 refused')
  const { message, stack, ...rest } = loggedError(new Error('no post from http://u:hunter2@cms.example/', { cause }))
  t.equal(message, 'no post from (not shown)')
  t.match(stack, /at .*redact\.test\.ts/)
  t.notMatch(JSON.stringify({ message, stack, rest }), /hunter2|10\.0\.0\.9/)
  t.equal(loggedError('redis://:hunter2@10.0.0.1').message, '(not shown)')
})
