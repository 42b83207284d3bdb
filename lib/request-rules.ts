import type { IncomingHttpHeaders } from 'node:http'
import { createNetworkCheck, isNetwork } from './address.ts'

/** What a rule looks like, in words. */
export const REQUEST_RULE =
  'addresses and networks such as 203.0.113.7 or 2001:db8::/48, or headers such as "user-agent: UptimeRobot" or "x-preview: *"'

/** A rule for a header: the request matches if the header has the text; `*` is any text. */
interface HeaderRule {
  name: string
  text: string
}

/** Up to four hexadecimal digits before a colon are the begin of a wrong IPv6 address, not the name of a header. */
const HEADER_RULE = /^(?![\da-f]{1,4}:)([a-z][\w-]*):\s*(\S.*)$/is

/** The rule for a header that a text is; none if it is something else. */
function headerRulesOf(rule: string): HeaderRule[] {
  const [, name, text] = HEADER_RULE.exec(rule.trim()) ?? []
  return name === undefined || text === undefined ? [] : [{ name: name.toLowerCase(), text: text.toLowerCase() }]
}

/** Whether a text is a rule for requests: see {@link createRequestCheck}. */
export function isRequestRule(rule: string): boolean {
  return isNetwork(rule) || headerRulesOf(rule).length > 0
}

/** The names of the headers that rules name, in lower case. */
export function headersOfRules(rules: readonly string[]): string[] {
  return rules.flatMap(headerRulesOf).map(({ name }) => name)
}

/**
 * Creates a function that tells whether a request matches one of the rules. A rule is an address or a network (see `isNetwork`),
 * or a header and a text in it, such as `user-agent: UptimeRobot`; the text `*` means any value. Letter case is ignored.
 */
export function createRequestCheck(rules: readonly string[]) {
  const isInNetwork = createNetworkCheck(rules.filter(isNetwork))
  const headerRules = rules.flatMap(headerRulesOf)
  return ({ ip, headers }: { ip: string; headers: IncomingHttpHeaders }): boolean =>
    (rules.length > 0 && isInNetwork(ip)) || headerRules.some(({ name, text }) => hasText(headers[name], text))
}

function hasText(value: string | string[] | undefined, text: string): boolean {
  return value !== undefined && (text === '*' || String(value).toLowerCase().includes(text))
}
