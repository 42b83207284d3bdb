import t from 'tap'
import { decodeDocument } from '../../../bin/import-feed/decode.ts'

const xml = (encoding: string, text = 'Köln – “ja”') => `<?xml version="1.0" encoding="${encoding}"?><a>${text}</a>`
const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16()

t.test('a document is decoded by its form, then by what it says', async (t) => {
  const latin1 = Buffer.from(xml('ISO-8859-1', 'Köln'), 'latin1')
  t.match(decodeDocument(latin1), '<a>Köln</a>', 'as declared')
  t.match(decodeDocument(Buffer.from(xml('utf-8', 'Köln'), 'latin1')), '<a>Köln</a>', 'declared wrongly as UTF-8')
  t.match(decodeDocument(Buffer.from('<a>Köln</a>', 'latin1')), '<a>Köln</a>', 'not declared')
  t.match(decodeDocument(Buffer.from(xml('ISO-8859-1'))), '<a>Köln – “ja”</a>', 'UTF-8 that is declared as Latin 1')
  t.match(decodeDocument(Buffer.from(xml('utf-8')), 'iso-8859-1'), '<a>Köln – “ja”</a>', 'UTF-8 with a wrong charset')
  t.match(decodeDocument(Buffer.from([0x3c, 0x61, 0x3e, 0xe6]), 'iso-8859-2'), '<a>ć', 'the charset of the server')
  t.match(decodeDocument(Buffer.from([0x3c, 0x61, 0x3e, 0xe6]), 'x-unknown'), '<a>æ', 'an unknown charset')
  t.match(decodeDocument(Buffer.from([0x3c, 0x61, 0x3e, 0x93]), 'iso-8859-1'), '<a>“', 'the quotes of Windows')
  t.match(decodeDocument(Buffer.from('<a>\x1b$B$3\x1b(B</a>'), 'iso-2022-jp'), '<a>こ</a>')
  t.match(decodeDocument(Buffer.concat([Buffer.from(xml('Shift_JIS', '')), Buffer.from([0x82, 0xa0])])), 'あ')
})

t.test('byte order marks and UTF-16 with and without them', async (t) => {
  const text = xml('UTF-16')
  t.equal(decodeDocument(Buffer.from(`\uFEFF${text}`)), text, 'UTF-8, whatever is declared')
  t.equal(decodeDocument(Buffer.from(`\uFEFF${text}`, 'utf16le')), text)
  t.equal(decodeDocument(utf16be(`\uFEFF${text}`)), text)
  t.equal(decodeDocument(Buffer.from(text, 'utf16le')), text)
  t.equal(decodeDocument(utf16be(text)), text)
  t.match(decodeDocument(Buffer.from(xml('UTF-16', 'plain'))), '<a>plain</a>', 'ASCII that is declared as UTF-16')
  t.equal(decodeDocument(Buffer.alloc(0)), '')
})
