import fc from 'fast-check'
import t from 'tap'
import { MAX_SLUG_LENGTH, slugForms, slugKeys } from '../../lib/slug-forms.ts'

t.test('a usual slug has one form', async (t) => {
  for (const slug of ['goat-has-my-map', 'a_b', 'v1.2', '~', '.', '..', '2026']) t.same(slugForms(slug), [slug])
})

t.test('the first form is the slug as it came', async (t) => {
  for (const slug of ['Goat', 'über', 'u\u0308ber', '%c3%bcber', '%C3%BCber', 'a b', '100%', "it's", '日本'])
    t.equal(slugForms(slug)[0], slug)
})

t.test('a slug of the database is found by each text that may name it', async (t) => {
  for (const [stored, names] of [
    ['goat', ['goat', 'Goat', 'GOAT', 'go%61t']],
    ['über', ['über', 'Über', 'u\u0308ber', 'U\u0308BER', '%C3%BCber', '%c3%bcber', 'u%CC%88ber']],
    ['u\u0308ber', ['über', 'Über', '%C3%BCber', 'u\u0308ber', '%c3%bcber']],
    ['%c3%bcber', ['über', 'Über', 'u\u0308ber', '%C3%BCber', '%c3%bcber', '%25c3%25bcber']],
    ['%C3%BCber', ['über', 'u\u0308ber', '%C3%BCber', '%c3%bcber']],
    ['Goat', ['Goat', '%47oat']],
    ['日本語', ['日本語', '%E6%97%A5%E6%9C%AC%E8%AA%9E', '%e6%97%a5%e6%9c%ac%e8%aa%9e']],
    ['%e6%97%a5%e6%9c%ac%e8%aa%9e', ['日本語', '%E6%97%A5%E6%9C%AC%E8%AA%9E']],
    ['ガイド', ['ガイド', 'カ\u3099イト\u3099']],
    ['한국어', ['한국어', '한국어'.normalize('NFD')]],
    ['привет', ['привет', 'Привет', 'ПРИВЕТ']],
    ['a b', ['a b', 'a%20b', 'A B']],
    ['a%20b', ['a b']],
    ['100%', ['100%', '100%25']],
    ['\ufffd', ['\ud800']],
  ] as const)
    for (const name of names) {
      // What the database gets of a lone surrogate.
      const forms = slugForms(name).map((form) => Buffer.from(form).toString())
      t.ok(forms.includes(stored), `${stored} by ${name}`)
    }
})

t.test('other letters are another slug', async (t) => {
  t.notOk(slugForms('goat').includes('Goat'), 'capital letters of the database are found by capital letters only')
  t.notOk(slugForms('ueber').includes('über'))
  t.notOk(slugForms('ｆｕｌｌ').includes('full'), 'no compatibility forms')
})

t.test('a text that cannot be a slug has no form', async (t) => {
  for (const text of ['', '\0', 'a\0b', 'x'.repeat(MAX_SLUG_LENGTH + 1), 'Ü'.repeat(MAX_SLUG_LENGTH + 1)])
    t.same(slugForms(text), [], JSON.stringify(text.slice(0, 10)))
  t.same(slugForms('a%00b'), ['a%00b', 'a%2500b'], 'its decoded form has NUL')
  t.same(slugForms('x'.repeat(MAX_SLUG_LENGTH)), ['x'.repeat(MAX_SLUG_LENGTH)])
})

t.test('the forms of a text are few, and bounded', async (t) => {
  for (const text of [
    'Ü'.repeat(MAX_SLUG_LENGTH),
    'Ü%C3%BC'.repeat(20),
    'ﬃÅ\u1e9b\u0323'.repeat(50),
    '\ud800'.repeat(99),
  ]) {
    const forms = slugForms(text)
    t.ok(forms.length <= 36, `${forms.length}`)
    t.ok(forms.every((form) => form.length <= MAX_SLUG_LENGTH))
    t.equal(new Set(forms).size, forms.length)
  }
})

t.test('all forms of a slug have one key', async (t) => {
  const slugKey = (slug: string) => slugKeys([slug])[0] as string
  const letters = 'aZ09-_ ßÄäéÉİıΣςñ日ガ한привет😀'
  const part = fc.oneof(
    fc.constantFrom(...letters),
    fc.constantFrom(
      '%C3%BC',
      '%c3%bc',
      '%C3%9C',
      'u%CC%88',
      'u\u0308',
      'Ό'.normalize('NFD'),
      '%25c3%25bc',
      '%41',
      '%zz',
      '% ',
      '\ud800',
      '%00',
    ),
  )
  const slug = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(slug, (text) => new Set(slugKeys([text, ...slugForms(text)])).size === 1),
    { numRuns: 3_000 },
  )
  const several = ['a', 'ΑΣ', '\ud83d', '\ude00', '%00', '\0', 'Σ', '', 'é']
  t.same(slugKeys(several), several.map(slugKey), 'independent of the other slugs')
  for (const [one, other] of [
    ['goat', 'Goat'],
    ['über', 'U\u0308BER'],
    ['%c3%bcber', '%25C3%25BCBER'],
  ] as const)
    t.equal(slugKey(one), slugKey(other))
  t.not(slugKey('goat'), slugKey('goats'))
  t.ok(slugKey(`%${'25'.repeat(249)}`).length > 400, 'it decodes a few times at most')
})
