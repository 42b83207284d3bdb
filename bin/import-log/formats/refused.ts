/** What a refused line is of, and what to do, by its first characters with control characters escaped. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^PK\\u0003\\u0004/, 'It is a zip archive: unpack it.'],
  [/^7z\\ufffd/, 'It is a 7z archive: unpack it.'],
  [/\\u0000ustar/, 'It is a tar archive: import the files in it.'],
  [/^LPKSHHRH/, 'It is a file of journald: import the output of journalctl -o json.'],
  [/^ElfFile/, 'It is an event log of Windows, not an access log.'],
  [/^.?\\u0000.?\\u0000/, 'It is not text, or it is UTF-16 without a byte order mark: convert it to UTF-8.'],
  [
    /^(?:\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d|\[[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d [^\]]*\]) \[[\w:]+\] /,
    'It is an error log of a web server: import the access log.',
  ],
  [
    /^\d{4}-\d\d-\d\d(?: |\\u0009)\d\d:\d\d:\d\d(?: |\\u0009)/,
    'It looks like the W3C extended format (IIS, CloudFront), but its line #Fields: is missing.',
  ],
  [/^\[\d{4}-\d\d-\d\dT[^\]]*\] "[A-Z]+ /, 'It looks like the format of Envoy, but x-forwarded-for is missing.'],
  [/^[{[]/, 'It is JSON, but an address, a time, a method, a path or a status under a usual name is missing.'],
  [/^</, 'It is HTML or XML.'],
]

const MAX_SHOWN = 200
/** The header of a tar archive has 512 bytes. */
const MAX_READ = 512

/** A refused line for the terminal: control characters are escaped, and a long line is cut. */
export function showLine(line: string): string {
  return line.length > MAX_SHOWN ? `${escapeControls(line.slice(0, MAX_SHOWN))}…` : escapeControls(line)
}

function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029\ufffd]/gu,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** What a line is, if it is of a known kind that is no access log, or of a format that lacks something; else empty. */
export function kindOf(line: string): string {
  const text = escapeControls(line.slice(0, MAX_READ).trimStart())
  return KINDS.find(([pattern]) => pattern.test(text))?.[1] ?? ''
}
