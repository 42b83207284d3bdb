/**
 * `node --import=./scripts/loader/register.js x.ts` runs TypeScript from its source: files of this package as compiled by
 * esbuild, and packages of hundreds of modules as bundles. It is JavaScript, because it loads the TypeScript.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { register } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundlePackages } from './packages.js'

/** 630 modules, which Node.js loads one by one; bundled they take 0.9 s of CPU less in each process. */
const PACKAGES = ['kysely', 'typebox']

/**
 * tap: 190 modules, 0.3 s of CPU. It is compiled for our plugins first, and leaves a mark then: see
 * helpers/services/tap.ts.
 */
const TAP = {
  mark: '@tapjs/test/test-built/taprc',
  // Under this name tap leaves its own lines out of the traces that it shows.
  folder: 'node_modules/@tapjs',
  options: {
    // It is in the process before us, and has to be there once.
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
