import { createAlbReader, createElbReader, createS3Reader } from './aws.ts'
import { createCombinedReader, endsWithAgent } from './combined.ts'
import { createCustomReader } from './custom.ts'
import { openEnvelope } from './envelopes.ts'
import { createEnvoyReader } from './envoy.ts'
import { isFormatString } from './format-string.ts'
import { createHaproxyReader } from './haproxy.ts'
import { createJsonReader } from './json.ts'
import { parseJsonLine } from './json-object.ts'
import type { LineReader, LogFormat } from './request.ts'
import { createW3cReader } from './w3c.ts'

/** The formats of logs. A line that one of them reads is of no other. */
export const FORMATS: readonly LogFormat[] = [
  { name: 'combined', createReader: createCombinedReader },
  { name: 'json', createReader: createJsonReader },
  { name: 'w3c', createReader: createW3cReader },
  { name: 'alb', createReader: createAlbReader },
  { name: 'elb', createReader: createElbReader },
  { name: 's3', createReader: createS3Reader },
  { name: 'haproxy', createReader: createHaproxyReader },
  { name: 'envoy', createReader: createEnvoyReader },
]

/** Syslog may be inside journald inside Docker. */
const MAX_ENVELOPES = 4

/**
 * Creates a reader of the lines of a log: the format is recognised, also behind the prefixes of syslog, journald,
 * Docker and Kubernetes (see {@link openEnvelope}).
 * @param choice `--format`: the name of a format, or a format string of nginx or Apache.
 * @throws an error for the user, if the choice is neither.
 */
export function createLogReader(choice?: string): LineReader {
  // The format of the last line is tried first.
  const readers = readersOf(choice)
  return (line) => {
    for (const text of textsOf(line)) {
      for (const [index, read] of readers.entries()) {
        const request = read(text)
        if (request === undefined) continue
        if (index > 0) readers.unshift(...readers.splice(index, 1))
        return request
      }
    }
    return undefined
  }
}

function readersOf(choice: string | undefined): LineReader[] {
  if (choice !== undefined && isFormatString(choice)) return [createCustomReader(choice)]
  const formats = FORMATS.filter(({ name }) => choice === undefined || name === choice)
  if (formats.length === 0) {
    const names = FORMATS.map(({ name }) => name).join(', ')
    throw new Error(
      `--format needs one of ${names}, or a format string such as '$remote_addr [$time_local] …', got: ${choice}`,
    )
  }
  return formats.map(({ createReader }) => createReader())
}

/** A line that begins with an address and `-` is in no envelope. */
const PLAIN = /^[\d.]+ - /

/** The innermost line first: what is around it may look like a line too. */
function textsOf(line: string): string[] {
  const texts = [line]
  if (PLAIN.test(line)) return texts
  for (let text = openEnvelope(line); text !== undefined && texts.length <= MAX_ENVELOPES; text = openEnvelope(text))
    texts.unshift(text)
  return texts
}

/**
 * Whether a line without a line end is complete: it ends with the quote that closes the user agent, or it is an object
 * of JSON. A server that is writing leaves an unfinished line at the end of the file.
 */
export function isClosedLine(line: string): boolean {
  return endsWithAgent(line) || parseJsonLine(line) !== undefined
}
