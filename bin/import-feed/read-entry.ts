import type { Entry } from './feed-post.ts'
import { type Picture, pictureOfImg, pixelsOf, textOfHtml, titleOf, titleOfText } from './text.ts'
import { childrenOf, descendantsOf, resolveAddress, textOf, type XmlElement } from './xml.ts'

/** Reads an `<item>` of RSS 0.9x, 1.0 or 2.0. */
export function readItem(item: XmlElement): Entry {
  const channel = item.parent === undefined ? [] : channelOf(item.parent)
  const site = channel.map((each) => resolveAddress(textOf(each, 'link'), each.base)).find(Boolean)
  const [guid] = childrenOf(item, 'guid')
  const guidText = guid?.text.trim()
  const isLink = guid?.attributes['ispermalink']?.toLowerCase() !== 'false' && URL.canParse(guidText ?? '')
  const link =
    textOf(item, 'feedburner:origlink', 'link') ??
    (isLink ? guidText : undefined) ??
    hrefOf(childrenOf(item, 'atom:link'))
  const named = childrenOf(item, 'category', 'dc:subject')
  const isTag = ({ attributes }: XmlElement) => /(?:^|[/_])tags?$/i.test(attributes['domain'] ?? '')
  return {
    link: resolveAddress(link, site ?? item.base),
    id: guidText === '' ? undefined : guidText,
    title: titleOfText(textOf(item, 'title', 'dc:title', 'media:title') ?? ''),
    summary: textOf(item, 'description', 'itunes:summary', 'atom:summary', 'dc:description'),
    content: textOf(item, 'content:encoded', 'xhtml:body', 'atom:content'),
    published: textOf(item, 'pubdate', 'dc:date', 'dc:issued', 'dc:created', 'atom:published'),
    changed: textOf(item, 'atom:updated', 'dc:modified'),
    author: personOf(textOf(item, 'dc:creator', 'author', 'itunes:author')) ?? authorOf(item),
    categories: named.filter((each) => !isTag(each)).map(({ text }) => text),
    tags: named.filter(isTag).map(({ text }) => text),
    picture: pictureOf(item, 'enclosure'),
    language: channel.map((each) => textOf(each, 'language', 'dc:language')).find(Boolean),
  }
}

/** The channel of an item; in RSS 1.0 it stands beside the items. */
function channelOf(parent: XmlElement): XmlElement[] {
  return parent.name === 'channel' ? [parent] : childrenOf(parent, 'channel')
}

/** Reads an `<entry>` of Atom. */
export function readAtomEntry(entry: XmlElement): Entry {
  const id = textOf(entry, 'atom:id')
  const links = childrenOf(entry, 'atom:link')
  const isId = id !== undefined && URL.canParse(id)
  const source = [...childrenOf(entry, 'atom:source'), ...(entry.parent === undefined ? [] : [entry.parent])]
  return {
    link: hrefOf(links) ?? resolveAddress(isId ? id : undefined, entry.base),
    id,
    title: titleOfAtom(childrenOf(entry, 'atom:title')[0]),
    summary: htmlOf(childrenOf(entry, 'atom:summary')[0]),
    content: htmlOf(childrenOf(entry, 'atom:content')[0]),
    published: textOf(entry, 'atom:published', 'atom:issued', 'dc:date'),
    changed: textOf(entry, 'atom:updated', 'atom:modified'),
    author: [entry, ...source].map((each) => authorOf(each) ?? textOf(each, 'dc:creator')).find(Boolean),
    categories: childrenOf(entry, 'atom:category').map(({ attributes, text }) => {
      return [attributes['label'], attributes['term'], text].find((name) => name !== undefined && name !== '') ?? ''
    }),
    picture: pictureOf(entry) ?? imageOfLinks(links) ?? imageOfXhtml(entry),
    language: entry.attributes['xml:lang'] ?? entry.parent?.attributes['xml:lang'],
  }
}

/** The address of the page: `rel="alternate"`, which is also what a link without `rel` is; the page first. */
function hrefOf(links: readonly XmlElement[]): string | undefined {
  const alternates = links.filter(({ attributes: { rel = 'alternate' } }) => rel.toLowerCase() === 'alternate')
  const isPage = ({ attributes: { type = 'text/html' } }: XmlElement) => /html/i.test(type)
  return [...alternates.filter(isPage), ...alternates]
    .map(({ attributes, base }) => resolveAddress(attributes['href'], base))
    .find((href) => href !== undefined)
}

function titleOfAtom(title: XmlElement | undefined): string {
  const { text = '', attributes: { type = '' } = {} } = title ?? {}
  if (/html/i.test(type) && !/xhtml/i.test(type)) return titleOf(textOfHtml(text))
  // Without a type it is text, but many generators escape it twice.
  return type === '' ? titleOfText(text) : titleOf(text)
}

/** An Atom text as HTML. */
function htmlOf(element: XmlElement | undefined): string | undefined {
  const text = element?.text.trim() ?? ''
  if (element === undefined || text === '') return undefined
  return /^(?:text\/)?html$/i.test(element.attributes['type'] ?? '')
    ? text
    : text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function authorOf(element: XmlElement): string | undefined {
  return childrenOf(element, 'atom:author')
    .map((author) => textOf(author, 'atom:name'))
    .find((name) => name !== undefined)
}

/** `jane@blog.example (Jane Doe)` and `Jane Doe <jane@blog.example>` are Jane Doe; an address alone is not for readers. */
function personOf(text: string | undefined): string | undefined {
  const [, inBrackets] = /@\S+\s+\(([^()]+)\)/.exec(text ?? '') ?? []
  const name = (inBrackets ?? text ?? '').replace(/<[^<>]*@[^<>]*>/, '').trim()
  return name === '' || /^\S+@\S+$/.test(name) ? undefined : name
}

const IMAGE = /\.(?:jpe?g|png|gif|webp|avif)(?:[?#]|$)/i

/** The picture that an entry names: the widest of Media RSS, then a thumbnail, an enclosure, or that of iTunes. */
function pictureOf(entry: XmlElement, ...enclosures: string[]): Picture | undefined {
  const contents = descendantsOf(entry, 'media:content').filter(isImage)
  const widest = contents.flatMap(toPicture).toSorted((a, b) => (b.width ?? 0) - (a.width ?? 0))
  return [
    ...widest,
    ...descendantsOf(entry, 'media:thumbnail').flatMap(toPicture),
    ...childrenOf(entry, ...enclosures)
      .filter(isImage)
      .flatMap(toPicture),
    ...childrenOf(entry, 'itunes:image').flatMap(toPicture),
  ][0]
}

function isImage({ attributes: { medium, type, url = '', href = url } }: XmlElement): boolean {
  if (medium !== undefined) return medium.toLowerCase() === 'image'
  return type === undefined ? IMAGE.test(href) : /^image\//i.test(type)
}

function toPicture({ attributes, base }: XmlElement): Picture[] {
  const url = resolveAddress(attributes['url'] ?? attributes['href'], base)
  const [width, height] = [pixelsOf(attributes['width']), pixelsOf(attributes['height'])]
  return url === undefined ? [] : [{ url, width, height }]
}

function imageOfLinks(links: readonly XmlElement[]): Picture | undefined {
  return links.filter((link) => link.attributes['rel'] === 'enclosure' && isImage(link)).flatMap(toPicture)[0]
}

/** XHTML is markup of the feed itself, not text. */
function imageOfXhtml(entry: XmlElement): Picture | undefined {
  return descendantsOf(entry, 'xhtml:img', 'atom:img').flatMap(({ attributes, base }) =>
    pictureOfImg(attributes, base),
  )[0]
}
