import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { NAVIGATION } from '../scripts/docs-site/navigation.js'
import { environmentSchema } from '../service/config.ts'
import { optionsSchema } from '../settings/options.ts'
import { runIn } from './helpers/checkout.ts'
import { DOCUMENT, described, withTables } from './helpers/settings-tables.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const documents = (await runIn(root, 'git', 'ls-files', '--cached', '--others', '--exclude-standard', '*.md'))
  .trim()
  .split('\n')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const withoutCode = (text: string) =>
  text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ' '))

/** The anchors that GitHub creates from the headings of a document. */
function anchorsOf(file: string): string[] {
  const text = withoutCode(read(file))
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
  return [...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, anchor = '']) => anchor)]
}

t.test('each link of each document has a target', async (t) => {
  t.ok(documents.length > 10, `${documents.length} documents`)
  for (const document of documents) {
    const links = [...withoutCode(read(document)).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
    for (const [, path = '', anchor] of links) {
      const target = path === '' ? document : normalize(join(dirname(document), path))
      if (!existsSync(join(root, target))) t.fail(`${document}: ${path} is not there`)
      else if (anchor !== undefined && !anchorsOf(target).includes(anchor))
        t.fail(`${document}: ${target} has no #${anchor}`)
    }
    t.pass(`${document}: ${links.length} links`)
  }
})

t.test('each page of docs/ is in the navigation of the site, and each entry has a target', async (t) => {
  const entries = NAVIGATION.flatMap(({ pages }) => pages.map(({ page }) => page.split('#')))
  const pages = new Set(entries.map(([file]) => file))
  for (const document of documents.filter((name) => name.startsWith('docs/'))) t.ok(pages.has(document), document)
  for (const [file = '', anchor] of entries) {
    t.ok(documents.includes(file), file)
    if (anchor !== undefined) t.ok(anchorsOf(file).includes(anchor), `${file}#${anchor}`)
  }
})

t.test('the first sentence of each page names its readers', async (t) => {
  for (const document of documents.filter((name) => !/CHANGELOG|README/.test(name))) {
    const [, sentence = ''] = /^# .+\n\n([\s\S]+?[.:])\s/.exec(read(document)) ?? []
    t.match(sentence, /\bfor [\w\s]*(?:developers|operators|contributors|authors|readers|people)\b/i, document)
  }
})

t.test('each source file that a document names exists', async (t) => {
  for (const document of documents.filter((name) => name !== 'CHANGELOG.md')) {
    const files = [...read(document).matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|js|yml|grit|json))`/g)]
    for (const [, file = ''] of files) t.ok(existsSync(join(root, file)), `${document}: ${file}`)
  }
})

t.test('each command of each document exists', async (t) => {
  const scriptsOf = (file: string) => (JSON.parse(read(file)) as { scripts: Record<string, string> }).scripts
  // A page with commands of bench/peers also names that folder.
  const scripts = { ...scriptsOf('bench/peers/package.json'), ...scriptsOf('package.json') }
  const help = await runIn(
    root,
    process.execPath,
    `--import=${new URL('../scripts/loader/register.js', import.meta.url)}`,
    'bin/popular-posts.ts',
    '--help',
  )
  const commands = [...help.matchAll(/^ {2}([\w-]+)(?: |$)/gm)].map(([, name]) => name)
  t.ok(commands.includes('migrate'))
  for (const document of documents) {
    const text = read(document)
    for (const [said, script = ''] of text.matchAll(/npm run ([\w:-]+)/g))
      t.ok(script in scripts, `${document}: ${said}`)
    for (const [said, script = ''] of text.matchAll(/npm (test|start|install|ci|pack|audit|publish)\b/g))
      t.ok(script in scripts || !/test|start/.test(script), `${document}: ${said}`)
    for (const [said, command] of text.matchAll(/npx (?:fastify-)?popular-posts ([\w-]+)/g))
      t.ok(commands.includes(command), `${document}: ${said}`)
    for (const [said, file = ''] of text.matchAll(/npm test -- (\S+\.test\.ts)/g))
      t.ok(existsSync(join(root, file)), `${document}: ${said}`)
    for (const [said, file = ''] of text.matchAll(/node (examples\/\S+)/g))
      t.ok(existsSync(join(root, file)), `${document}: ${said}`)
  }
})

t.test('the documented options and variables equal the validated ones', async (t) => {
  const document = readFileSync(DOCUMENT, 'utf8')
  t.equal(withTables(document), document, 'else: npm run docs')
  t.throws(() => withTables('nothing'), { message: /Expected the marks of the table "options"/ })
  const docstrings = new Map(described(read('settings/options.ts')))
  t.same([...docstrings.keys()].sort(), Object.keys(optionsSchema.properties).sort())
  for (const [name, property] of Object.entries(optionsSchema.properties as Record<string, { default?: unknown }>)) {
    const [, quoted, bare] = /Default (?:`([^`]+)`|([^.;: ]+))/.exec(docstrings.get(name) ?? '') ?? []
    const said = quoted ?? bare
    if (property.default !== undefined)
      t.equal(said, String(property.default) === '' ? 'none' : String(property.default), name)
  }
  for (const name of Object.keys(environmentSchema.properties))
    t.match(document, new RegExp(`^\\| \`${name}\` \\|.*\\| [A-Z][^|]+ \\|$`, 'm'), name)
})

t.test('the runbook has a section for every alert', async (t) => {
  const urls = [...read('dashboards/alerts.yml').matchAll(/runbook_url: (\S+)/g)].map(([, url = '']) => url)
  t.equal(urls.length, read('dashboards/alerts.yml').split('- alert:').length - 1)
  for (const url of urls) {
    const [document = '', anchor = ''] = url.split('#')
    t.ok(anchorsOf(document).includes(anchor), url)
  }
})

t.test('each line of the comparison with other caches has a test in bench/peers', async (t) => {
  const [, section = ''] = /## Beside other caches\n([\s\S]*?)\n## /.exec(read('README.md')) ?? []
  const lines = [...section.matchAll(/^\| (\w[^|]*) \|/gm)].map(([, line = '']) => line)
  const tried = [...read('bench/peers/promises.ts').matchAll(/^ {2}'([^']+)': async/gm)].map(([, line = '']) => line)
  t.ok(tried.length > 0)
  t.same(lines, tried)
})
