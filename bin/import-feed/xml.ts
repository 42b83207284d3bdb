import { Parser } from 'htmlparser2'

/** An element of a feed. */
export interface XmlElement {
  /** In lower case, with the prefix that {@link PREFIXES} has for its namespace: `item`, `atom:entry`, `dc:creator`. */
  name: string
  /** The attributes, by their names in lower case. */
  attributes: Readonly<Record<string, string>>
  /** Its text with that of the elements in it, without markup. */
  text: string
  children: XmlElement[]
  /** `xml:base`, resolved. */
  base: string | undefined
  parent: XmlElement | undefined
}

/** No feed is deeper. The parser takes time in proportion to the depth. */
const MAX_DEPTH = 1_000

/** Authors choose their prefixes; the namespace says what an element is. */
const PREFIXES: Readonly<Record<string, string>> = {
  'http://www.w3.org/2005/atom': 'atom:',
  'http://purl.org/atom/ns#': 'atom:',
  'http://www.w3.org/1999/02/22-rdf-syntax-ns#': 'rdf:',
  'http://purl.org/rss/1.0/': '',
  'http://purl.org/rss/1.0/modules/content/': 'content:',
  'http://purl.org/dc/elements/1.1/': 'dc:',
  'http://purl.org/dc/terms/': 'dc:',
  'http://search.yahoo.com/mrss/': 'media:',
  'http://search.yahoo.com/mrss': 'media:',
  'http://www.itunes.com/dtds/podcast-1.0.dtd': 'itunes:',
  'http://rssnamespace.org/feedburner/ext/1.0': 'feedburner:',
  'http://www.google.com/schemas/sitemap-news/0.9': 'news:',
  'http://www.google.com/schemas/sitemap-image/1.1': 'image:',
  'http://www.w3.org/1999/xhtml': 'xhtml:',
}

/** What {@link readXml} has read. */
export interface XmlDocument {
  /** The outermost element; `undefined`: there is none. */
  root: XmlElement | undefined
  /** Whether the end tag of the root was read. */
  isComplete: boolean
}

/**
 * Reads a feed. It is tolerant, because many feeds are not well-formed. It reads no DTD: an entity that a document
 * declares stays as it is written, and nothing is loaded from elsewhere.
 * @param options.base the address of the document.
 * @param options.entries the names of the elements that are passed to `onEntry` at their ends, and then forgotten, by the
 * name of the element around them.
 */
export function readXml(
  text: string,
  {
    base,
    entries,
    onEntry,
  }: { base?: string | undefined; entries: Readonly<Record<string, string>>; onEntry(entry: XmlElement): void },
): XmlDocument {
  const document: XmlDocument = { root: undefined, isComplete: false }
  const scopes: Record<string, string>[] = [{}]
  let open: XmlElement | undefined
  let isAtEnd = false
  const parser = new Parser(
    {
      onopentag(written, given) {
        const attributes: Record<string, string> = {}
        for (const [name, value] of Object.entries(given)) attributes[name.toLowerCase()] = value
        const scope = scopeOf(scopes.at(-1) ?? {}, attributes)
        scopes.push(scope)
        if (scopes.length > MAX_DEPTH) throw new Error(`Expected elements in at most ${MAX_DEPTH} others, got more.`)
        const element: XmlElement = {
          name: nameOf(written.toLowerCase(), scope),
          attributes,
          text: '',
          children: [],
          base: baseOf(attributes['xml:base'], open?.base ?? base),
          parent: open,
        }
        // A document that names no namespace.
        if (open === undefined && element.name === 'feed') {
          scope[''] = 'atom:'
          element.name = 'atom:feed'
        }
        document.root ??= element
        open = element
      },
      ontext(data) {
        if (open !== undefined) open.text += data
      },
      onclosetag() {
        scopes.pop()
        const closed = open
        if (closed === undefined) return
        open = closed.parent
        if (closed === document.root) document.isComplete = !isAtEnd
        if (entries[open?.name ?? ''] === closed.name) {
          if (!isAtEnd) onEntry(closed)
          return
        }
        if (open === undefined) return
        open.text += closed.text
        open.children.push(closed)
      },
    },
    { xmlMode: true },
  )
  parser.write(text)
  // The parser closes what is open.
  isAtEnd = true
  parser.end()
  return document
}

/** The prefixes that are declared here: by each written prefix the one of {@link PREFIXES}. */
function scopeOf(outer: Record<string, string>, attributes: Readonly<Record<string, string>>): Record<string, string> {
  const declared = Object.entries(attributes).filter(([name]) => /^xmlns(?::|$)/.test(name))
  if (declared.length === 0) return outer
  const scope = { ...outer }
  for (const [name, uri] of declared) {
    const prefix = name.slice('xmlns:'.length)
    scope[prefix] = PREFIXES[uri.trim().toLowerCase()] ?? (prefix === '' ? '' : `${prefix}:`)
  }
  return scope
}

function nameOf(written: string, scope: Readonly<Record<string, string>>): string {
  const colon = written.indexOf(':')
  const prefix = written.slice(0, Math.max(0, colon))
  return (scope[prefix] ?? written.slice(0, colon + 1)) + written.slice(colon + 1)
}

function baseOf(given: string | undefined, outer: string | undefined): string | undefined {
  return given === undefined ? outer : (resolveAddress(given, outer) ?? outer)
}

/** The address that a reference names; `undefined`: none of http or https. */
export function resolveAddress(reference: string | undefined, base: string | undefined): string | undefined {
  const text = reference?.trim() ?? ''
  if (text === '' || !URL.canParse(text, base)) return undefined
  const url = new URL(text, base)
  return /^https?:$/.test(url.protocol) ? url.href : undefined
}

/** The elements directly in this one that have one of these names, in the order of the names. */
export function childrenOf(element: XmlElement, ...names: string[]): XmlElement[] {
  return names.flatMap((name) => element.children.filter((child) => child.name === name))
}

/** The first text of {@link childrenOf} that is not empty. */
export function textOf(element: XmlElement, ...names: string[]): string | undefined {
  return childrenOf(element, ...names)
    .map(({ text }) => text.trim())
    .find((text) => text !== '')
}

/** The elements with this name in this one, however deep. */
export function descendantsOf(element: XmlElement, ...names: string[]): XmlElement[] {
  return element.children.flatMap((child) => [
    ...(names.includes(child.name) ? [child] : []),
    ...descendantsOf(child, ...names),
  ])
}
