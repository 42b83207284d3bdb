import { spawnSync } from 'node:child_process'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readLines } from '../../../bin/import-log/read-lines.ts'

const TEXT = Array.from({ length: 3000 }, (_, index) => `${index} ${Math.sin(index)}\n`).join('')

async function read(source: AsyncIterable<Uint8Array>) {
  let text = ''
  try {
    for await (const batch of readLines(source)) for (const { bytes } of batch) text += `${bytes}\n`
  } catch (error) {
    return { text, error }
  }
  return { text, error: undefined }
}

/** Splits the bytes into chunks of a size. */
async function* pieces(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** Compresses with the command, or skips the test where it is not installed. */
function compress(t: Test, command: string, text: string): Buffer | undefined {
  const { stdout, error } = spawnSync(command, ['-c'], { input: text, maxBuffer: 1e8 })
  if (error === undefined) return stdout
  t.pass(`skipped: ${command} is not installed`)
  return undefined
}

t.test('gzip with zeros after it and between its members is read to its end', async (t) => {
  const zeros = Buffer.alloc(20_000)
  const [begin, rest] = [gzipSync(TEXT.slice(0, 30_000)), gzipSync(TEXT.slice(30_000))]
  for (const bytes of [
    [begin, rest, zeros],
    [begin, zeros, rest],
    [begin, zeros, rest, zeros.subarray(1)],
    [begin, rest],
  ])
    for (const size of [7919, 1_000_000])
      t.ok((await read(pieces(Buffer.concat(bytes), size))).text === TEXT, `${bytes.length} parts in pieces of ${size}`)
  const broken = await read(pieces(Buffer.concat([begin, zeros, Buffer.from('1.2.3.4 - - [')]), 5000))
  t.match(broken.error, { message: /^The gzip data cannot be read to its end: it is damaged/ })
  t.ok(TEXT.startsWith(broken.text) && broken.text.length > 29_900)
})

for (const command of ['zstd', 'bzip2', 'xz', 'lz4']) {
  t.test(`${command} is read by its command, also several of it`, async (t) => {
    const begin = compress(t, command, TEXT.slice(0, 30_000))
    const rest = compress(t, command, TEXT.slice(30_000))
    if (begin === undefined || rest === undefined) return
    for (const size of [11, 997, 1_000_000]) {
      const { text, error } = await read(pieces(Buffer.concat([begin, rest]), size))
      t.equal(error, undefined)
      t.ok(text === TEXT, `pieces of ${size}`)
    }
  })

  t.test(`truncated ${command} is an error that names it, after the lines before`, async (t) => {
    const whole = compress(t, command, TEXT.repeat(20))
    if (whole === undefined) return
    const { text, error } = await read(pieces(whole.subarray(0, whole.length - 1000), 65_536))
    t.match(error, { message: new RegExp(`^The ${command} data cannot be read to its end: `) })
    t.ok(TEXT.repeat(20).startsWith(text.slice(0, text.lastIndexOf('\n', text.length - 2))))
  })
}

t.test('a command that is not installed is named', async (t) => {
  const path = process.env['PATH']
  t.teardown(() => {
    process.env['PATH'] = path
  })
  process.env['PATH'] = '/nowhere'
  const { text, error } = await read(Readable.from([Buffer.from('28b52ffd0000000000000000', 'hex')]))
  t.match(error, {
    message:
      /^The log is compressed by zstd, and the command zstd cannot be run \(spawn zstd ENOENT\)\. Install it, or unpack/,
  })
  t.equal(text, '')
})

t.test('an error of the source of compressed data is that error', async (t) => {
  const whole = compress(t, 'xz', TEXT)
  if (whole === undefined) return
  async function* failing() {
    yield whole as Buffer
    throw new Error('disk on fire')
  }
  t.match(await read(failing()), { error: { message: 'disk on fire' } })
})

t.test('reading that stops early ends the command', async (t) => {
  const whole = compress(t, 'zstd', TEXT.repeat(100))
  if (whole === undefined) return
  const stream = Readable.from(pieces(whole, 1000))
  for await (const _ of readLines(stream)) break
  t.ok(stream.destroyed)
})

t.test('UTF-16 and the mark of UTF-8 are decoded, also packed', async (t) => {
  const text = 'aé€😀\nb\r\nc\n'
  const little = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')])
  const big = Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, 'utf16le').swap16()])
  const marked = Buffer.from(`\ufeff${text}`)
  for (const bytes of [little, big, marked, Buffer.from(text), gzipSync(little)])
    for (const size of [1, 3, 1000]) t.equal((await read(pieces(bytes, size))).text, 'aé€😀\nb\nc\n')
  t.equal((await read(pieces(Buffer.from([0xff, 0xfe]), 1))).text, '')
})
