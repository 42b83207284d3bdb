import { lookup } from 'node:dns/promises'
import { createReadStream } from 'node:fs'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { codeOf, messageOf } from '../../lib/errors.ts'
import { gunzip } from '../import-log/gunzip.ts'
import { decodeDocument } from './decode.ts'

/** The most bytes of a document, unpacked: as many as a sitemap may have. */
const MAX_BYTES = 50 * 1024 * 1024
/** The longest time for one document, with its redirects. */
const TIMEOUT_MS = 30_000
const MAX_REDIRECTS = 5
const ACCEPT =
  'application/atom+xml, application/rss+xml, application/feed+json, application/xml, text/xml, application/json;q=0.9, */*;q=0.1'

/** A document that was read. */
export interface FetchedDocument {
  text: string
  /** Its address after redirects; `undefined`: a file. */
  address: string | undefined
}

/** Where documents come from. */
export interface Source {
  /** How a message names it: without user, password and query. */
  name: string
  /** `undefined`: a file. */
  url: URL | undefined
  /** The path of the file, as it was given. */
  path: string
}

/**
 * Reads the argument of the command: an address, or the path of a file.
 * @throws an error for the user, if it is an address that cannot be fetched.
 */
export function sourceOf(text: string): Source {
  if (!/^[a-z][a-z\d+.-]+:\/\//i.test(text)) return { name: text, url: undefined, path: text }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new Error('Expected an address with http or https, or the path of a file.')
  if (url.username !== '' || url.password !== '')
    throw new Error('Expected an address without user and password: load the feed with curl, and import the file.')
  return { name: nameOf(url), url, path: text }
}

function nameOf(url: URL): string {
  return url.origin + url.pathname
}

/**
 * Reads a document: fetches it, or reads the file; unpacks and decodes it.
 * @param from the address that led here, of a document that others write; `undefined`: the user named it.
 * @throws an error for the user.
 */
export async function fetchDocument(
  source: Source,
  from?: URL,
  timeoutMs: number = TIMEOUT_MS,
): Promise<FetchedDocument> {
  const { url, name, path } = source
  if (url === undefined) {
    const bytes = await readBytes(createReadStream(path), name)
    return { text: decodeDocument(bytes), address: undefined }
  }
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const { response, address } = await follow(url, from ?? url, signal)
    const [, charset] = /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(response.headers.get('content-type') ?? '') ?? []
    const bytes = await readBytes(response.body ?? [], name)
    return { text: decodeDocument(bytes, charset), address: address.href }
  } catch (error) {
    if (signal.aborted)
      throw new Error(`${name} did not arrive within ${timeoutMs / 1000} seconds: try again later.`, { cause: error })
    throw error
  }
}

async function follow(start: URL, from: URL, signal: AbortSignal): Promise<{ response: Response; address: URL }> {
  let address = start
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    if (address.host !== from.host) await expectPublic(address, from)
    const response = await fetch(address.href, {
      redirect: 'manual',
      signal,
      headers: { accept: ACCEPT, 'user-agent': 'popular-posts import-feed' },
    }).catch((error: unknown) => {
      signal.throwIfAborted()
      const code = error instanceof Error ? codeOf(error.cause) : ''
      throw new Error(`${nameOf(address)} could not be loaded${code && ` (${code})`}: check the address.`, {
        cause: error,
      })
    })
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null) {
      if (response.ok) return { response, address }
      await response.body?.cancel()
      throw new Error(`${nameOf(address)} could not be loaded: expected status 200, got ${response.status}.`)
    }
    await response.body?.cancel()
    const next = URL.canParse(location, address.href) ? new URL(location, address) : undefined
    if (next === undefined || !/^https?:$/.test(next.protocol))
      throw new Error(`${nameOf(address)} leads to an address that is neither http nor https.`)
    address = next
  }
  throw new Error(`${nameOf(start)} leads from one address to another, more than ${MAX_REDIRECTS} times.`)
}

/**
 * Refuses an address in a private network that a document or a redirect of another network names: a stranger could let
 * this machine read what only it can reach.
 * @param resolve returns the addresses of a host name.
 */
export async function expectPublic(
  url: URL,
  from: URL,
  resolve: (host: string) => Promise<string[]> = addressesOf,
): Promise<void> {
  const isPrivate = async ({ hostname }: URL) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const addresses = isIP(host) === 0 ? await resolve(host) : [host]
    return addresses.some((address) => ipaddr.process(address).range() !== 'unicast')
  }
  if ((await isPrivate(url)) && !(await isPrivate(from)))
    throw new Error(
      `${nameOf(from)} leads to ${url.host}, which is in a private network: if that is right, name that address.`,
    )
}

/** No address: the request will say why. */
async function addressesOf(host: string): Promise<string[]> {
  return (await lookup(host, { all: true }).catch(() => [])).map(({ address }) => address)
}

async function readBytes(input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, name: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  try {
    for await (const piece of gunzip(buffersOf(input))) {
      size += piece.length
      if (size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES / 1024 / 1024} MB`)
      pieces.push(piece)
    }
  } catch (error) {
    throw new Error(`${name} could not be read: ${messageOf(error)}`, { cause: error })
  }
  return Buffer.concat(pieces)
}

async function* buffersOf(input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  for await (const piece of input) yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
}
