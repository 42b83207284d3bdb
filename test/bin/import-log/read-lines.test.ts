import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { MAX_LINE_BYTES, readLines } from '../../../bin/import-log/read-lines.ts'

type Source = AsyncIterable<Uint8Array | string>

async function read(source: Source, onBytes?: (bytes: number) => void) {
  const lines: string[] = []
  const odd: string[] = []
  let error: unknown
  try {
    for await (const batch of readLines(source, onBytes)) {
      for (const line of batch) {
        lines.push(line.bytes.toString('latin1'))
        if (line.isTooLong) odd.push(`${line.bytes.length} too long`)
        if (!line.isEnded) odd.push('not ended')
      }
    }
  } catch (caught) {
    error = caught
  }
  return { lines, odd, error }
}

/** Splits the bytes into chunks of a size. */
async function* pieces(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

t.test('lines end with LF or CRLF, and the last line may have no end', async (t) => {
  const cases: [string, string[], string[]][] = [
    ['', [], []],
    ['a', ['a'], ['not ended']],
    ['a\n', ['a'], []],
    ['a\nb', ['a', 'b'], ['not ended']],
    ['a\r\nb\r\n', ['a', 'b'], []],
    ['a\r\nb\r', ['a', 'b'], ['not ended']],
    ['\n\n\r\n', ['', '', ''], []],
    ['a\rb\n', ['a\rb'], []],
    ['a\r\r\n', ['a\r'], []],
  ]
  for (const [text, lines, odd] of cases) {
    for (const size of [1, 2, 3, 100]) {
      t.strictSame(await read(pieces(Buffer.from(text), size)), { lines, odd, error: undefined }, JSON.stringify(text))
    }
  }
})

t.test('any bytes in any chunks, plain or gzip, give the same lines', async (t) => {
  const text = fc.array(fc.constantFrom('a', '\n', '\r', '\r\n', '\xff', '\0', 'ü', 'long line '), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 20 }), fc.boolean(), async (parts, size, isGzip) => {
      const bytes = Buffer.from(parts.join(''), 'latin1')
      const expected = bytes.toString('latin1').split('\n')
      if (expected.at(-1) === '') expected.pop()
      const { lines, error } = await read(pieces(isGzip ? gzipSync(bytes) : bytes, size))
      t.strictSame(
        lines,
        expected.map((line) => line.replace(/\r$/, '')),
      )
      t.equal(error, undefined)
    }),
  )
})

t.test('a line over 64 kB is truncated and marked as too long; the next line is complete', async (t) => {
  const long = 'x'.repeat(MAX_LINE_BYTES)
  for (const size of [1000, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 10_000_000]) {
    const text = `${long}\n${long}\r\n${long}y\n${long}y\r\n${long}${long}\nb\n${long}y`
    const { lines, odd } = await read(pieces(Buffer.from(text), size))
    t.strictSame(
      lines.map((line) => line.length),
      [...Array(5).fill(MAX_LINE_BYTES), 1, MAX_LINE_BYTES],
    )
    t.strictSame(odd, [...Array(4).fill(`${MAX_LINE_BYTES} too long`), 'not ended'])
  }
})

t.test('a line that never ends is not kept in memory', async (t) => {
  const before = process.memoryUsage()
  async function* endless() {
    for (let i = 0; i < 4000; i++) yield Buffer.alloc(64 * 1024, 'x')
  }
  const { odd } = await read(endless())
  const after = process.memoryUsage()
  t.strictSame(odd, [`${MAX_LINE_BYTES} too long`, 'not ended'])
  t.ok(after.arrayBuffers - before.arrayBuffers < 100_000_000, '250 MB were read')
})

t.test('gzip: concatenated members, empty members, bytes counted before unpacking', async (t) => {
  const bytes = Buffer.concat([gzipSync('a\nb'), gzipSync(''), gzipSync('c\n'), gzipSync('d\n')])
  for (const size of [1, 7, 10_000]) {
    let counted = 0
    const result = await read(pieces(bytes, size), (count) => {
      counted += count
    })
    t.strictSame(result, { lines: ['a', 'bc', 'd'], odd: [], error: undefined })
    t.equal(counted, bytes.length)
  }
  t.strictSame((await read(pieces(gzipSync(''), 3))).lines, [])
})

t.test('text that resembles gzip is read as text', async (t) => {
  t.strictSame((await read(pieces(Buffer.from([0x1f]), 1))).lines, ['\x1f'])
  t.strictSame((await read(pieces(Buffer.from([0x1f, 0x0a]), 1))).lines, ['\x1f'])
  t.strictSame((await read(Readable.from(['a\nb\n']))).lines, ['a', 'b'], 'text from a stream of strings')
})

t.test('truncated gzip gives the lines before the end, and an error', async (t) => {
  const whole = Array.from({ length: 2000 }, (_, i) => `${i} ${Math.sin(i)}`)
  const bytes = gzipSync(`${whole.join('\n')}\n`)
  let most = 0
  for (let length = 3; length < bytes.length; length += 997) {
    const { lines, error } = await read(pieces(bytes.subarray(0, length), 4096))
    t.match(error, { message: /^The gzip data cannot be read to its end: it is truncated/ })
    t.strictSame(lines, whole.slice(0, lines.length))
    t.ok(lines.length >= most)
    most = lines.length
  }
  t.ok(most > 1800, `${most} of 2,000 lines`)
})

t.test('damaged gzip gives the lines before the damage, and an error', async (t) => {
  const whole = Array.from({ length: 50_000 }, (_, i) => `${i} ${Math.sin(i)}`)
  const bytes = gzipSync(`${whole.join('\n')}\n`)
  bytes.fill(0xff, bytes.length - 1000, bytes.length - 900)
  const { lines, error } = await read(pieces(bytes, 256 * 1024))
  t.match(error, { message: /^The gzip data cannot be read to its end: it is damaged \(.+\)\.$/ })
  t.strictSame(lines, whole.slice(0, lines.length))
  t.ok(lines.length > 45_000, `${lines.length} of 50,000 lines`)
})

t.test('gzip that unpacks to a thousand times its size does not fill the memory', async (t) => {
  const member = gzipSync(Buffer.alloc(20_000_000, `${'x'.repeat(199)}\n`))
  const bomb = Buffer.concat(Array(10).fill(member))
  let lines = 0
  let peak = 0
  for await (const batch of readLines(pieces(bomb, 64 * 1024))) {
    lines += batch.length
    peak = Math.max(peak, process.memoryUsage().arrayBuffers)
  }
  t.equal(lines, 1_000_000)
  t.ok(peak < 120_000_000, `${peak} bytes`)
})

t.test('a failing source gives the lines before the error, and the error', async (t) => {
  async function* failing() {
    yield Buffer.from('a\nb')
    throw new Error('disk on fire')
  }
  t.match(await read(failing()), { lines: ['a'], error: { message: 'disk on fire' } })
})

t.test('a file is closed when reading stops early', async (t) => {
  const file = join(t.testdir({}), 'log')
  for (const bytes of [Buffer.from('a\n'.repeat(1e6)), gzipSync(Buffer.from('a\n'.repeat(1e7)))]) {
    await writeFile(file, bytes)
    const stream = createReadStream(file, { highWaterMark: 1000 })
    for await (const _ of readLines(stream)) break
    t.ok(stream.destroyed)
  }
})
