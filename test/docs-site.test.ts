import { readdirSync, readFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { buildDocsSite, copyDocuments, installDocsSite } from '../scripts/docs-site/build.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const BASE = '/popular-posts/'

const cannot = await installDocsSite().then(
  () => false as const,
  (error: { stderr: string }) => `VitePress cannot be installed: ${error.stderr.trim().split('\n').at(-1)}`,
)
t.test('the site of the documents', { skip: cannot }, async (t) => {
  const out = await temporaryDirectory(t)
  await copyDocuments()
  await buildDocsSite(['--outDir', out, '--base', BASE])
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' })
  const pages = new Map(
    files.filter((name) => name.endsWith('.html')).map((name) => [name, readFileSync(join(out, name), 'utf8')]),
  )

  await t.test('has a page for each document, with the text of the document', async (t) => {
    const documents = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
    for (const document of documents) {
      const page = pages.get(document.replace(/\.md$/, '.html')) ?? ''
      const [, title = ''] = /^# `?<?([\w -]+)/.exec(readFileSync(join(root, 'docs', document), 'utf8')) ?? []
      t.match(page, title, document)
      t.match(page, '<nav', document)
    }
    t.match(pages.get('index.html'), 'Why not just')
    t.match(pages.get('examples/index.html'), 'Examples')
  })

  await t.test('each link, script, style and image has a target, with its anchor', async (t) => {
    const idsOf = new Map(
      [...pages].map(([name, html]) => [name, new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id))]),
    )
    let links = 0
    for (const [name, html] of pages) {
      for (const [, address = ''] of html.matchAll(/ (?:href|src)="([^"]+)"/g)) {
        if (/^(?:https?|mailto|data):/.test(address)) continue
        links += 1
        const [path = '', anchor] = decodeURI(address).split('#')
        const here = BASE + name
        const file = relative(BASE, path === '' ? here : posix.resolve(dirname(here), path))
        const target = [file, `${file}.html`, join(file, 'index.html')].find(
          (candidate) => candidate !== '' && files.includes(candidate) && /\.\w+$/.test(candidate),
        )
        if (target === undefined) t.fail(`${name}: ${address} is not there`)
        else if (anchor && !idsOf.get(target)?.has(anchor)) t.fail(`${name}: ${target} has no #${anchor}`)
      }
    }
    t.ok(links > 1000, `${links} links`)
  })

  await t.test('nothing is loaded from another server', async (t) => {
    for (const [name, html] of pages)
      t.notMatch(
        html,
        /<(?:script|img|link rel="(?:stylesheet|preload|modulepreload)")[^>]* (?:src|href)="https?:/,
        name,
      )
  })

  await t.test('the search has an index of every page', async (t) => {
    const index = files
      .filter((name) => /localSearchIndex/.test(name))
      .map((name) => readFileSync(join(out, name), 'utf8'))
    t.equal(index.length, 1)
    for (const name of pages.keys()) {
      const address = BASE + name.replace(/(?:(^|\/)index)?\.html$/, '$1')
      if (name !== '404.html') t.match(index[0], `${address}#`, name)
    }
  })
})

t.test('a dead link fails the build', { skip: cannot }, async (t) => {
  const pages = await copyDocuments()
  await appendFile(join(pages, 'docs/scale.md'), '\n[dead](gone.md)\n')
  const built = buildDocsSite(['--outDir', await temporaryDirectory(t)])
  await t.rejects(built, { message: /docs\/scale\.md: expected a link to a file, got gone\.md/ })
})
