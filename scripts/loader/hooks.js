// The hooks that Node.js calls on its loader thread: see `register.js`.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** @type {Map<string, string>} */
let bundles
/** @type {string} */
let sources

/** @param {{ bundles: Map<string, string>, sources: string }} data */
export function initialize(data) {
  bundles = data.bundles
  sources = data.sources
}

/** @type {import('node:module').ResolveHook} */
export function resolve(specifier, context, next) {
  const url = bundles.get(specifier)
  return url === undefined ? next(specifier, context) : { url, format: 'module', shortCircuit: true }
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  return { format: 'module', source: await javascriptOf(fileURLToPath(url)), shortCircuit: true }
}

/** @param {string} file */
async function javascriptOf(file) {
  const text = readFileSync(file, 'utf8')
  // The banner contains the digest of the source. The cache keeps the last version of each file.
  const banner = `// ${digest(text)}`
  const cacheFile = join(sources, `${digest(file)}.js`)
  const cached = readIfThere(cacheFile)
  if (cached.startsWith(banner)) return cached
  const { transform } = await import('esbuild')
  const { code } = await transform(text, {
    banner,
    loader: 'ts',
    format: 'esm',
    target: 'node20',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    // Without it V8 reports an unreachable closing brace as an uncovered line.
    minifyWhitespace: true,
    // Without the source in the source map tap reports every line as covered.
    sourcemap: 'inline',
    sourcefile: file,
    sourcesContent: true,
  })
  writeToCache(cacheFile, code)
  return code
}

/** @param {string} text */
function digest(text) {
  return createHash('sha256').update(text).digest('hex')
}

/** @param {string} file */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/**
 * @param {string} file
 * @param {string} text
 */
function writeToCache(file, text) {
  const temporary = `${file}.${process.pid}`
  try {
    mkdirSync(sources, { recursive: true })
    writeFileSync(temporary, text)
    renameSync(temporary, file)
  } catch {
    // A process of another user may not write here. Its next run compiles the file again.
  }
}
