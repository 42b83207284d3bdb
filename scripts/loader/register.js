/**
 * `node --import=./scripts/loader/register.js x.ts` runs TypeScript: esbuild compiles the files of this package and
 * bundles packages with hundreds of modules. This file is JavaScript, because it has to run before the loader.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { register } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundlePackages } from './packages.js'

/** These have 630 modules. Bundles save each process 0.9 s of CPU. */
const PACKAGES = ['kysely', 'typebox']

/** tap has 190 modules, 0.3 s of CPU. The mark exists after test/helpers/services/tap.ts compiled it for our plugins. */
const TAP = {
  mark: '@tapjs/test/test-built/taprc',
  // tap hides stack lines of files in a folder of this name.
  folder: 'node_modules/@tapjs',
  options: {
    // tap loads it earlier, and it must exist only once in a process.
    external: ['@tapjs/processinfo'],
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'\nconst require = requireOf(import.meta.url)",
    },
  },
}

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))
const modules = here('../../node_modules')
const manifestOf = (/** @type {string} */ name) => readFileSync(join(modules, name, 'package.json'), 'utf8')
const bundled = PACKAGES.map(manifestOf)
const madeBy = ['register.js', 'hooks.js', 'packages.js'].map((name) => readFileSync(here(name), 'utf8'))
const digest = (/** @type {string[]} */ ...texts) =>
  createHash('sha256').update(texts.join()).digest('hex').slice(0, 16)
const folder = join(modules, '.cache', 'fastify-popular-posts', digest(...madeBy, ...bundled, manifestOf('esbuild')))

process.setSourceMapsEnabled(true)
const bundles = await bundlePackages(bundled, join(folder, 'packages'))
const mark = join(modules, TAP.mark)
if (existsSync(mark)) {
  const manifest = manifestOf('tap')
  const made = join(folder, digest(readFileSync(mark, 'utf8'), manifest), TAP.folder)
  for (const [name, url] of await bundlePackages([manifest], made, TAP.options)) bundles.set(name, url)
}
register('./hooks.js', import.meta.url, { data: { bundles, sources: join(folder, 'sources') } })
