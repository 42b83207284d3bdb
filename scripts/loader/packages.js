import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * Bundles each entry point of some packages into one module, and shared code into other modules, in a folder that is
 * created atomically.
 * @param {string[]} manifests the text of each package.json
 * @param {string} folder
 * @param {Pick<import('esbuild').BuildOptions, 'external' | 'banner'>} [options]
 * @returns {Promise<Map<string, string>>} from import path, such as `kysely/migration`, to the URL of its bundle
 */
export async function bundlePackages(manifests, folder, options = {}) {
  const names = manifests.flatMap((text) => {
    const { name, exports } = /** @type {{ name: string, exports: object }} */ (JSON.parse(text))
    const paths = Object.keys(exports).filter((path) => !path.endsWith('.json'))
    return paths.map((path) => name + path.slice(1))
  })
  const entries = names.map((name) => ({ in: name, out: name.replaceAll('/', '-') }))
  if (!existsSync(folder)) await bundle(entries, folder, options)
  return new Map(entries.map((entry) => [entry.in, pathToFileURL(join(folder, `${entry.out}.js`)).href]))
}

/**
 * @param {{ in: string, out: string }[]} entryPoints
 * @param {string} folder
 * @param {Pick<import('esbuild').BuildOptions, 'external' | 'banner'>} options
 */
async function bundle(entryPoints, folder, options) {
  const { build } = await import('esbuild')
  const outdir = `${folder}.${process.pid}`
  mkdirSync(dirname(folder), { recursive: true })
  await build({
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    keepNames: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    ...options,
  })
  try {
    renameSync(outdir, folder)
  } catch (error) {
    rmSync(outdir, { recursive: true })
    // Another process created the folder first. Other errors, such as a full disk, are not tested:
    /* c8 ignore next */
    if (!existsSync(folder)) throw error
  }
}
