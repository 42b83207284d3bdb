import { agentOf, parseRequestLine, QUOTED, refererOf, unescapeField } from './fields.ts'
import type { LineReader } from './request.ts'
import { parseClfTime, parseTime, rememberingLast } from './times.ts'

const ISO_TIME = String.raw`(\d{4}-\d\d-\d\dT[\d:.]+Z?)`
/** `elb client:port target:port`, three durations, two status codes, two sizes, the request line and the user agent. */
const BALANCED = String.raw`${ISO_TIME} \S+ (\S+):\d+ \S+(?: [-.\d]+){3} (\d{3}|-) (?:\d{3}|-) \d+ \d+ ${QUOTED} ${QUOTED}(?= |$)`

/**
 * Creates a reader of the logs of an Application Load Balancer.
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
 */
export function createAlbReader(): LineReader {
  return createBalancerReader(new RegExp(`^(?:https?|h2|grpcs|wss?) ${BALANCED}`, 's'))
}

/**
 * Creates a reader of the logs of a Classic Load Balancer.
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html
 */
export function createElbReader(): LineReader {
  return createBalancerReader(new RegExp(`^${BALANCED}`, 's'))
}

function createBalancerReader(pattern: RegExp): LineReader {
  const timeOf = rememberingLast(parseTime)
  return (line) => {
    const [match, time = '', address = '', status, request = '', agent = ''] = pattern.exec(line) ?? []
    const timeMs = timeOf(time.replace(/Z?$/, 'Z'))
    if (match === undefined || timeMs === undefined) return undefined
    const { method, target } = parseRequestLine(unescapeField(request))
    const userAgent = agentOf(unescapeField(agent))
    // A client that left has no status.
    return {
      address,
      timeMs,
      method,
      target,
      status: Number(status) || 0,
      host: undefined,
      referer: undefined,
      userAgent,
    }
  }
}

const S3 = new RegExp(
  String.raw`^\S+ \S+ \[([^\]]{26})\] (\S+) \S+ \S+ (?:REST|WEBSITE|SOAP|BATCH|S3)\.\S+ \S+ (?:${QUOTED}|-) (\d{3}|-) \S+ \S+ \S+ \S+ \S+ ${QUOTED} ${QUOTED}(?=(?: \S+){5} (\S+)| |$)`,
  's',
)

/**
 * Creates a reader of the server access logs of S3, also of a bucket that is a website.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
 */
export function createS3Reader(): LineReader {
  const timeOf = rememberingLast(parseClfTime)
  return (line) => {
    const [match, time = '', address = '', request = '', status, from = '', agent = '', host] = S3.exec(line) ?? []
    const timeMs = timeOf(time)
    if (match === undefined || timeMs === undefined) return undefined
    const { method, target } = parseRequestLine(unescapeField(request))
    const [referer, userAgent] = [refererOf(unescapeField(from)), agentOf(unescapeField(agent))]
    return { address, timeMs, method, target, status: Number(status) || 0, host, referer, userAgent }
  }
}
