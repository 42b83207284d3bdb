import type { Entry } from './feed-post.ts'
import { titleOf } from './text.ts'
import { childrenOf, descendantsOf, resolveAddress, textOf, type XmlElement } from './xml.ts'

/** A `<url>` of a sitemap. */
export interface SitemapEntry extends Entry {
  /** Whether it has the data of Google News, which only articles have. */
  isArticle: boolean
}

/** Reads a `<url>` of a sitemap, with what the extensions for news and images say. */
export function readSitemapUrl(url: XmlElement): SitemapEntry {
  const [news] = childrenOf(url, 'news:news')
  const [image] = childrenOf(url, 'image:image')
  const picture = image && resolveAddress(textOf(image, 'image:loc'), url.base)
  return {
    link: resolveAddress(textOf(url, 'loc'), url.base),
    isArticle: news !== undefined,
    title: titleOf((news && textOf(news, 'news:title')) ?? ''),
    published: news && textOf(news, 'news:publication_date'),
    changed: textOf(url, 'lastmod'),
    language: news && descendantsOf(news, 'news:language')[0]?.text.trim(),
    picture: picture === undefined ? undefined : { url: picture },
  }
}
