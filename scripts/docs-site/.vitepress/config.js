// The site of the documents. scripts/docs-site.ts copies them into pages/, at their paths, because Vue is found from there.
import { existsSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { NAVIGATION } from '../navigation.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const pages = fileURLToPath(new URL('../pages', import.meta.url))
const { repository, homepage, description } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
/** The address of the repository; a release fills it in. */
const repositoryUrl = repository.url.replace(/^git\+|\.git$/g, '')

/** The pages beside those of docs/, and their paths on the site. */
const REWRITES = {
  'README.md': 'index.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
  'bench/peers/README.md': 'bench/peers.md',
  'examples/README.md': 'examples/index.md',
  'examples/:name/README.md': 'examples/:name.md',
  'docs/:page.md': ':page.md',
}
const pathOf = (page) => {
  const file = page.replace(/#.*/, '')
  const path = REWRITES[file] ?? file.replace(/^docs\//, '').replace(/^(examples\/[^/]+)\/README/, '$1')
  return `/${path.replace(/(^|\/)index\.md$/, '$1').replace(/\.md$/, '')}${page.slice(file.length)}`
}
const isPage = (file) => file in REWRITES || /^(?:docs\/[^/]+|examples\/[^/]+\/README)\.md$/.test(file)

/** As GitHub makes the anchor of a heading, because the documents link to these. */
const slugify = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-')

/** Leads a link to a page of the site, else to the file in the repository, else nowhere: then its text stays. */
function hrefOf(href, from) {
  if (/^(?:[a-z]+:|#|\/)/.test(href)) return href
  const [path = '', anchor = ''] = href.split(/(?=#)/)
  const file = posix.join(posix.dirname(from), path).replace(/\/$/, '')
  if (!existsSync(`${root}/${file}`)) throw new Error(`${from}: expected a link to a file, got ${href}`)
  if (isPage(file)) return pathOf(file) + anchor
  return repositoryUrl === '' ? undefined : `${repositoryUrl}/blob/main/${file}`
}

function linksOfTheSite(md) {
  md.core.ruler.push('links-of-the-site', ({ tokens, env }) => {
    for (const { children } of tokens) {
      const open = []
      for (const token of children ?? []) {
        if (token.type === 'link_open') {
          const href = hrefOf(decodeURI(token.attrGet('href')), relative(pages, env.realPath ?? env.path))
          open.push(token)
          if (href === undefined) Object.assign(token, { tag: 'span', attrs: null })
          else token.attrSet('href', href)
        } else if (token.type === 'link_close') token.tag = open.pop().tag
      }
    }
  })
}

/** The first sentence of a document, for search engines. */
function descriptionOf(file) {
  const [, sentence] = /^# .+\n\n([\s\S]+?[.:])\s/.exec(readFileSync(join(pages, file), 'utf8')) ?? []
  return sentence
    ?.replace(/\s+/g, ' ')
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .replace(/[*`]/g, '')
}

export default defineConfig({
  title: 'fastify-popular-posts',
  description,
  lang: 'en',
  srcDir: 'pages',
  outDir: '../../build/docs-site',
  cacheDir: '../../build/docs-site-cache',
  rewrites: REWRITES,
  cleanUrls: true,
  ...(homepage === '' ? {} : { sitemap: { hostname: homepage } }),
  transformPageData: ({ filePath }) => ({ description: descriptionOf(filePath) ?? description }),
  markdown: { anchor: { slugify }, config: linksOfTheSite },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: ['docs/http.md', 'docs/options.md', 'docs/operating.md', 'CHANGELOG.md'].map((page) => ({
      text: NAVIGATION.flatMap(({ pages }) => pages).find((entry) => entry.page === page).text,
      link: pathOf(page),
    })),
    sidebar: NAVIGATION.map(({ text, pages }) => ({
      text,
      items: pages.map(({ text, page }) => ({ text, link: pathOf(page) })),
    })),
  },
})
