import { LRUCache } from 'lru-cache'
import type { Encoding } from '../lists/list-body.ts'
import { MAX_HEADER_LENGTH } from '../views/client-text.ts'

/** In the order of preference. */
const CODINGS: readonly (Encoding | 'identity')[] = ['br', 'gzip', 'identity']

/** The codings of the last headers: there are few, because browsers of one version send the same. */
const known = new LRUCache<string, Encoding | 'identity'>({ max: 100 })

/**
 * Chooses the content coding of a reply: the one with the highest weight in `Accept-Encoding`; of several the first of br,
 * gzip and identity (RFC 9110, 12.5.3). Names have any case, `x-gzip` is gzip, and `*` is any coding that is not named. A
 * header that accepts none of them, or is longer than those of browsers, gives identity.
 */
export function chooseCoding(accepted: string | undefined): Encoding | 'identity' {
  // A long header is neither parsed nor kept.
  if (accepted === undefined || accepted.length > MAX_HEADER_LENGTH) return 'identity'
  let coding = known.get(accepted)
  if (coding === undefined) {
    coding = negotiate(accepted)
    known.set(accepted, coding)
  }
  return coding
}

function negotiate(accepted: string): Encoding | 'identity' {
  const weights = new Map<string, number>()
  for (const part of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((word) => word.trim())
    const weight = parameters.find((word) => /^q\s*=/.test(word))?.replace(/^q\s*=\s*/, '') ?? '1'
    // An invalid weight counts as 0: the client does not say that it accepts the coding.
    weights.set(name === 'x-gzip' ? 'gzip' : name, /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/.test(weight) ? Number(weight) : 0)
  }
  const weightOf = (coding: string) => weights.get(coding) ?? weights.get('*') ?? 0
  const accepts = CODINGS.filter((coding) => weightOf(coding) > 0)
  return accepts.find((coding) => accepts.every((other) => weightOf(other) <= weightOf(coding))) ?? 'identity'
}
