/** What an XML declaration or an HTML `meta` names. It is ASCII in every encoding but UTF-16. */
const DECLARED = /^[^>]*?<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']/

/**
 * Decodes a document. UTF-16 shows by its BOM or by its zeros, and UTF-8 by its form, whatever the document or its server
 * says: text of another encoding is not valid UTF-8. Else it is the `charset` of the server, then the declaration of the
 * document, then windows-1252.
 * @param charset of the Content-Type.
 */
export function decodeDocument(bytes: Buffer, charset?: string): string {
  const wide = utf16Of(bytes)
  if (wide !== undefined) return new TextDecoder(wide).decode(bytes)
  const head = bytes.subarray(0, 1024).toString('latin1')
  const named = [charset, DECLARED.exec(head)?.[1]].find((label) => label !== undefined && isOneByte(label))
  // ISO-2022-JP is ASCII with escapes, and so valid UTF-8.
  if (named?.toLowerCase().startsWith('iso-2022') === true) return new TextDecoder(named).decode(bytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return decodeAs(named ?? 'windows-1252', bytes)
  }
}

/** Windows-1252 from 0x80 on, which some versions of Node.js decode as control characters. */
const WINDOWS = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ'

function decodeAs(label: string, bytes: Buffer): string {
  const decoder = new TextDecoder(label)
  const text = decoder.decode(bytes)
  if (decoder.encoding !== 'windows-1252') return text
  return text.replace(/[\u0080-\u009F]/g, (character) => WINDOWS.charAt(character.charCodeAt(0) - 0x80))
}

function utf16Of(bytes: Buffer): string | undefined {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0x3c && second === 0)) return 'utf-16le'
  if ((first === 0xfe && second === 0xff) || (first === 0 && second === 0x3c)) return 'utf-16be'
  return undefined
}

/** Whether this is an encoding that a document without zeros can have, and that this Node.js knows. */
function isOneByte(label: string): boolean {
  try {
    return !/^utf/.test(new TextDecoder(label).encoding)
  } catch {
    return false
  }
}
