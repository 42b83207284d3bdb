import t from 'tap'
import { parseForwarded, readForwarded } from '../../lib/forwarded.ts'

t.test('the clients of a header Forwarded (RFC 7239)', async (t) => {
  const headers: [string, string[]][] = [
    ['for=192.0.2.60;proto=http;by=203.0.113.43', ['192.0.2.60']],
    ['For="[2001:db8:cafe::17]:4711"', ['[2001:db8:cafe::17]:4711']],
    ['for=192.0.2.43, for=198.51.100.17', ['192.0.2.43', '198.51.100.17']],
    ['for=192.0.2.43,for="198.51.100.17:80";by=_a , FOR=unknown', ['192.0.2.43', '198.51.100.17:80', 'unknown']],
    ['proto=https;for=192.0.2.43;host="a.example,b;c"', ['192.0.2.43']],
    ['for=_SEVKISEK', ['_SEVKISEK']],
    ['for=192.0.2.43:4711', ['192.0.2.43:4711']],
    ['for=[2001:db8::9]:443', ['[2001:db8::9]:443']],
    [String.raw`for="192.0.2.4\3"`, ['192.0.2.43']],
    ['proto=https', ['unknown']],
    ['for=', ['unknown']],
    ['for=a b', []],
    ['for="10.0.0.1, 198.51.100.9"', ['unknown']],
    [', for=192.0.2.43', ['unknown', '192.0.2.43']],
    ['for=192.0.2.43;', ['192.0.2.43']],
    ['', ['unknown']],
    // What a client sends must not hide what a proxy appends.
    ['for=1.2.3.4;x=", for=198.51.100.9', []],
    ['for=1.2.3.4;x=", for="[2001:db8::9]:443"', []],
    [String.raw`for=1.2.3.4;x="\, for="198.51.100.9:80"`, []],
    ['for=1.2.3.4;for, for=198.51.100.9', []],
    ['for="1.2.3.4" x, for=198.51.100.9', []],
  ]
  for (const [header, clients] of headers) t.same(parseForwarded(header), clients, header)
})

t.test('Forwarded is read in place of X-Forwarded-For, not beside it', async (t) => {
  const cases: [string | undefined, string | undefined, string | undefined][] = [
    ['for=192.0.2.43, for=198.51.100.17', undefined, '192.0.2.43, 198.51.100.17'],
    ['for=192.0.2.43', '', '192.0.2.43'],
    ['for=192.0.2.43', '198.51.100.9', '198.51.100.9'],
    ['for="', undefined, ''],
    ['', undefined, undefined],
    [undefined, undefined, undefined],
  ]
  for (const [forwarded, before, after] of cases) {
    const headers = { forwarded, 'x-forwarded-for': before }
    readForwarded(headers)
    t.equal(headers['x-forwarded-for'], after, `${forwarded} ${before}`)
  }
})
