import t from 'tap'
import { createNetworkCheck, isNetwork, networkOf } from '../../lib/address.ts'

t.test('each notation of an address gives the same network', async (t) => {
  const notations: Record<string, string[]> = {
    '198.51.100.9': [
      '198.51.100.9',
      '198.51.100.9:4711',
      '198.51.100.9:',
      '[198.51.100.9]:4711',
      '"198.51.100.9:4711"',
      ' 198.51.100.9 ',
      '::ffff:198.51.100.9',
      '::FFFF:c633:6409',
      '0:0:0:0:0:ffff:c633:6409',
      '[::ffff:198.51.100.9]',
      '[::ffff:198.51.100.9]:4711',
      '0:0:0:0:0:ffff:c633:6409:4711',
      '::ffff:0:198.51.100.9',
      '64:ff9b::198.51.100.9',
      '198.51.100.9, 10.0.0.4',
      '198.51.100.9:4711,10.0.0.4:80',
      '198.51.100.9,',
    ],
    '2001:db8:0:2::/64': [
      '2001:db8:0:2::9',
      '2001:0DB8:0000:0002::1',
      '2001:db8:0:2:3:4:5:6',
      '2001:db8:0:2:3:4:5:6:443',
      '[2001:db8:0:2::9]',
      '[2001:db8:0:2::9]:443',
      '[2001:DB8:0:2::A]:_port',
      '"[2001:db8:0:2::9]:443"',
      '2001:db8:0:2::9%eth0',
      '[2001:db8:0:2::9%25eth0]:443',
    ],
    'fe80::/64': ['fe80::1%eth0'],
    '::/64': ['::1', '[::1]:3000'],
    'client.example': ['client.example', 'Client.EXAMPLE', 'client.example:4711'],
    unknown: ['unknown', 'Unknown', 'unknown:80'],
    _hidden: ['_hidden', '_hidden:_port'],
    // Neither an octal, a short nor a decimal address.
    '198.051.100.009': ['198.051.100.009'],
    '1': ['1'],
    '127.1': ['127.1'],
    '198.51.100.256': ['198.51.100.256:80'],
    '': ['', ' ', '[]', '[]:80'],
  }
  for (const [network, texts] of Object.entries(notations))
    for (const text of texts) t.equal(networkOf(text), network, JSON.stringify(text))
  t.equal(networkOf(undefined), '', 'a Unix socket')
  t.equal(networkOf('x'.repeat(20_000)).length, 255)
})

t.test('200 ports of one client are one network', async (t) => {
  for (const host of ['198.51.100.9', '[2001:db8::9]', '[::ffff:198.51.100.9]']) {
    const ports = Array.from({ length: 200 }, (_none, index) => networkOf(`${host}:${40_000 + index}`))
    t.equal(new Set([...ports, networkOf(host)]).size, 1, host)
  }
})

t.test('a wider network has the addresses of one provider', async (t) => {
  const wide = { v4: 24, v6: 48 }
  t.equal(networkOf('198.51.100.9:4711', wide), '198.51.100.0/24')
  t.equal(networkOf('::ffff:198.51.100.200', wide), '198.51.100.0/24')
  t.equal(networkOf('[2001:db8:1:2::9]:443', wide), '2001:db8:1::/48')
  t.equal(networkOf('2001:db8:1:ffff::1', wide), '2001:db8:1::/48')
  t.equal(networkOf('client.example', wide), 'client.example')
})

t.test('a network check finds addresses in every notation', async (t) => {
  const check = createNetworkCheck(['loopback', ' 10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::ffff:172.16.0.0/108'])
  const inside = ['127.0.0.1', '127.9.9.9', '::1', '[::1]:80', '10.255.0.1', '10.0.0.5:443', '::ffff:10.0.0.5']
  const others = ['192.0.2.1', '[::ffff:192.0.2.1]:80', '2001:db8:ffff::1', '172.16.0.1', '172.31.9.9:80']
  for (const address of [...inside, ...others]) t.equal(check(address), true, address)
  for (const address of [
    '11.0.0.1',
    '192.0.2.2',
    '2001:db9::1',
    '::a00:1',
    '172.32.0.1',
    'localhost',
    'unknown',
    '',
    undefined,
  ])
    t.equal(check(address), false, String(address))
  t.equal(createNetworkCheck([])('127.0.0.1'), false)
})

t.test('what names a network', async (t) => {
  const right = [
    'loopback',
    'linklocal',
    'uniquelocal',
    '10.0.0.0/8',
    ' 192.0.2.1 ',
    '2001:db8::/48',
    '::1',
    'fd00::1/128',
  ]
  for (const text of [...right, '::ffff:10.0.0.0/104', '0.0.0.0/1']) t.equal(isNetwork(text), true, text)
  const wrong = [
    '',
    'true',
    '1',
    '127.1',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '0.0.0.0/0',
    '::/0',
  ]
  const odd = ['2001:db8::/129', '::ffff:0.0.0.0/96', 'localhost', 'constructor', '10.0.0.1:80', '10.0.0.0/255.0.0.0']
  for (const text of [...wrong, ...odd]) t.equal(isNetwork(text), false, text)
})
