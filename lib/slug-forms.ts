/**
 * The most characters of a slug, as it is in the database. PostgreSQL's indexes take values of up to 2,700 bytes, which
 * is more than 500 characters have.
 */
export const MAX_SLUG_LENGTH = 500

/** Slugs with one form. */
const PLAIN = /^[a-z0-9_~.-]*$/

/**
 * Returns the forms in which the database may have a slug that a client, a caller or a log names: the only rule by which
 * slugs are compared. The first form that the database has is the slug.
 *
 * 1. as it came; 2. without percent-encoding, if it has any; then each of these 3. in the Unicode normal forms NFC and NFD,
 * 4. in lower case, 5. percent-encoded, with digits in lower case, as WordPress keeps slugs, or in upper case.
 *
 * So a slug with capital letters is found by exactly these letters only; a slug in lower case is found by any.
 * @param slug not percent-encoded, or percent-encoded once more than the database has it.
 * @returns no form for texts that cannot be slugs: empty, longer than {@link MAX_SLUG_LENGTH}, or with NUL, which
 * PostgreSQL's text cannot hold.
 */
export function slugForms(slug: string): string[] {
  if (slug.length > MAX_SLUG_LENGTH || slug.includes('\0')) return []
  if (PLAIN.test(slug)) return slug === '' ? [] : [slug]
  const named = [slug, decodedSlug(slug)]
  const normal = named.flatMap((text) => [text, text.normalize('NFC'), text.normalize('NFD')])
  // Most forms are equal, and to encode one takes longer than all else.
  const cased = [...new Set([...normal, ...normal.map((text) => text.toLowerCase())])]
  const encoded = cased.flatMap((text) => [lowerHex(encode(text)), encode(text)])
  return [...new Set([...cased, ...encoded])].filter((text) => text.length <= MAX_SLUG_LENGTH && !text.includes('\0'))
}

/** How often a slug may be percent-encoded: without a limit, a client could send one that takes milliseconds. */
const MAX_ENCODINGS = 5

/** Whether a slug has no form but itself. */
export function isPlainSlug(slug: string): boolean {
  return PLAIN.test(slug)
}

/**
 * Returns for each slug a text that is the same for all of its forms, in a fiftieth of the time that the forms take: to find
 * out first that a slug is none of some. Different slugs may have the same key.
 */
export function slugKeys(slugs: readonly string[]): string[] {
  // All at once, because a call for each takes longer than the letters. No slug has NUL.
  const text = slugs.map((slug) => (/[%\0]/.test(slug) ? fullyDecoded(slug) : slug)).join('\0')
  // Which of two letters Σ becomes depends on what follows it.
  return text.toWellFormed().toLowerCase().normalize('NFD').replaceAll('ς', 'σ').split('\0')
}

function fullyDecoded(slug: string): string {
  let text = slug
  for (let left = MAX_ENCODINGS; left > 0 && text.includes('%'); left -= 1) text = decodedSlug(text)
  return text.replaceAll('\0', '')
}

/** The text without percent-encoding; unchanged if it is not percent-encoded UTF-8. */
export function decodedSlug(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Lone surrogates have no UTF-8: they become U+FFFD, as in the driver of PostgreSQL. */
function encode(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString())
}

function lowerHex(encoded: string): string {
  return encoded.replace(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase())
}
