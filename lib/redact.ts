/** What a log must not show, in any text: URLs except those of source files, IP addresses, and named secrets. */
const HIDDEN: readonly RegExp[] = [
  /\b(?!file:|node:)[a-z][a-z\d+.-]*:\/\/[^\s"'`<>]+/gi,
  /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g,
  /\[(?:[\da-f]*:){2,}[\da-f.]*\](?::\d{1,5})?/gi,
  /\b[\da-f]{0,4}(?:::?[\da-f]{1,4}){3,7}\b/gi,
  /(?<=\b(?:password|passwd|pwd|secret|token|api[ _-]?key|authorization)["']?\s*[=:]\s*)(?:bearer\s+|basic\s+)?["']?[^\s"',;&]+/gi,
]

/** Returns a text without URLs, addresses and secrets: `(not shown)` is in their place. Source files stay. */
export function redact(text: string): string {
  return HIDDEN.reduce((left, pattern) => left.replace(pattern, '(not shown)'), text)
}
