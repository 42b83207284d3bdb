import { parseJsonLine } from './json-object.ts'

const TIME = String.raw`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?`
const ZONED = String.raw`${TIME}(?:Z|[+-]\d\d:?\d\d)`
/** `host program[pid]: `, where the host may be missing. */
const PROGRAM = String.raw`(?:\S+ )?[^\s:[\]"]+(?:\[[^\]\s]*\])?: `

/** What programs that keep logs write before a line. */
const ENVELOPES: readonly RegExp[] = [
  // Syslog, RFC 5424, also framed by the number of bytes (RFC 6587).
  String.raw`(?:\d+ )?<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?\ufeff?`,
  // Syslog, RFC 3164; `journalctl -o short`, `-o short-precise`.
  String.raw`(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)? ${PROGRAM}`,
  // rsyslog with a date of ISO 8601; `journalctl -o short-iso`.
  String.raw`(?:<\d{1,3}>)?${ZONED} ${PROGRAM}`,
  // `journalctl -o short-full`, `-o short-unix`, `-o short-monotonic`.
  String.raw`[A-Z][a-z]{2} ${TIME} \S+ ${PROGRAM}`,
  String.raw`(?:\d{10}\.\d{6}|\[ *\d+\.\d+\]) ${PROGRAM}`,
  // Kubernetes: the files of the Container Runtime Interface; `kubectl logs --prefix`.
  String.raw`${ZONED} std(?:out|err) F `,
  String.raw`\[pod/[^\]]*\] `,
  // `docker compose logs`; `docker logs --timestamps`, `kubectl logs --timestamps`.
  String.raw`[\w.-]+ +\| ?`,
  String.raw`${ZONED} `,
].map((pattern) => new RegExp(`^${pattern}`))

const ESCAPE = '\u001b'
/** Docker's `json-file`, `journalctl -o json`, Fluent Bit and Filebeat. */
const MESSAGES = ['log', 'MESSAGE', 'message', 'textPayload', '@message'] as const
const HAS_MESSAGE = /"(?:log|MESSAGE|@?message|textPayload)":/

/**
 * The line of a server inside the line of a program that keeps logs: syslog, journald, Docker, Kubernetes.
 * @returns `undefined`: the line is of no such program.
 */
export function openEnvelope(line: string): string | undefined {
  if (line.startsWith('{')) return HAS_MESSAGE.test(line) ? messageIn(line) : undefined
  if (line.includes(ESCAPE)) return withoutColors(line)
  for (const envelope of ENVELOPES) {
    const [prefix] = envelope.exec(line) ?? []
    if (prefix !== undefined) return line.slice(prefix.length)
  }
  return undefined
}

/** `docker compose logs` writes the names of containers in colors. */
function withoutColors(line: string): string {
  const [before = '', ...parts] = line.split(ESCAPE)
  return `${before}${parts.map((part) => part.replace(/^\[[\d;]*m/, '')).join('')}`
}

function messageIn(line: string): string | undefined {
  const object = parseJsonLine(line) ?? {}
  for (const name of MESSAGES) {
    const value = object[name]
    if (typeof value === 'string') return value.trimEnd()
    // journald writes a message that is not plain text as bytes.
    if (Array.isArray(value)) return Buffer.from(value).toString('utf8').trimEnd()
  }
  return undefined
}
