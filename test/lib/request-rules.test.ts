import t from 'tap'
import { createRequestCheck, headersOfRules, isRequestRule } from '../../lib/request-rules.ts'

t.test('a rule is an address, a network, or a header with a text', async (t) => {
  const right = ['203.0.113.7', '10.0.0.0/8', '2001:db8::/48', 'fe80::1', 'loopback', 'user-agent: UptimeRobot']
  for (const rule of [
    ...right,
    'User-Agent:UptimeRobot',
    'x-preview: *',
    ' cookie: staff= ',
    'accept: a, b',
    'from: 10.0.0.1',
  ])
    t.equal(isRequestRule(rule), true, rule)
  const wrong = [
    '',
    ' ',
    'UptimeRobot',
    'localhost',
    'office.example',
    'x-preview',
    'x-preview:',
    'x-preview: ',
    ': a',
    '*',
  ]
  const addresses = [
    '203.0.113.700',
    '10.0.0.0/33',
    '2001:db8::/129',
    'fe80::/129',
    'dead: beef',
    '0.0.0.0/0',
    '10.0.0.1:80',
  ]
  for (const rule of [...wrong, ...addresses, 'a b: c']) t.equal(isRequestRule(rule), false, rule)
})

t.test('a request matches a rule', async (t) => {
  const isMatch = createRequestCheck(['10.0.0.0/8', 'x-a: One', 'x-b: *', 'set-cookie: c=d'])
  const matches = [
    { ip: '10.1.2.3', headers: {} },
    { ip: '', headers: { 'x-a': 'an ONE and a two' } },
    { ip: '203.0.113.9', headers: { 'x-b': '' } },
    { ip: '203.0.113.9', headers: { 'set-cookie': ['a=b', 'C=D'] } },
  ]
  for (const request of matches) t.equal(isMatch(request), true, JSON.stringify(request))
  t.equal(isMatch({ ip: '203.0.113.9', headers: { 'x-a': 'two', 'x-c': 'one' } }), false)
  t.equal(createRequestCheck([])({ ip: '10.1.2.3', headers: { 'x-a': 'one' } }), false)
  t.same(headersOfRules(['10.0.0.0/8', 'X-A: One', 'x-b: *']), ['x-a', 'x-b'])
})
