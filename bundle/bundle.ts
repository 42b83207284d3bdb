// Builds build/lambda/, the artifact for AWS Lambda. See docs/deploy.md.
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { BUILD_OPTIONS } from './build-options.ts'
import { type Precompiled, precompile } from './precompile.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Modules that the bundle replaces: see `precompile`. */
const REPLACED_PACKAGES = /^@fastify\/(?:ajv-compiler|fast-json-stringify-compiler)$/
const REPLACED_FILES = /\/(?:(?:routes|settings)\/compile|lib\/text-files)\.ts$/

/** Replaces Fastify's default compilers, which routes with their own compilers do not use. */
const NONE = `module.exports = () => () => { throw new Error('Expected every route to bring its compilers.') }`

/** Replaces the compilers by precompiled code, and the reader of SQL files by their texts. */
function replaceCompilers({ validators, settings }: Precompiled): Plugin {
  const known = (codes: Map<string, string>) =>
    `{ ${[...codes].map(([name, code]) => `${JSON.stringify(name)}: () => {${asModule(code)}}`).join(',\n')} }`
  const contents: Record<string, string> = {
    'routes/compile.ts': `
      const known = ${known(validators)}
      export const compileRoute = ({ method, url, httpPart }) => known[\`\${method} \${url} \${httpPart}\`]()`,
    'settings/compile.ts': `
      import { createHash } from 'node:crypto'
      import { formats } from './formats.ts'
      const known = ${known(settings)}
      export const compileSettings = (schema) =>
        known[createHash('sha256').update(JSON.stringify(schema)).digest('base64url')]()`,
    'lib/text-files.ts': `
      const known = ${JSON.stringify(textFiles())}
      export const readTextFile = (path) => known[path]`,
  }
  return {
    name: 'replace-compilers',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: REPLACED_PACKAGES }, ({ path }) => ({ path, namespace: 'none' }))
      onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: NONE }))
      onLoad({ filter: REPLACED_FILES }, ({ path }) => ({ contents: contents[relative(root, path)] ?? '' }))
    },
  }
}

/** The texts of functions in SQL, and of scripts in Lua without their comments, by their paths. */
function textFiles(): Record<string, string> {
  const paths = ['db/migrations', 'cache/lua', 'views/lua'].flatMap((folder) =>
    readdirSync(`${root}${folder}`)
      .filter((name) => /\.(?:sql|lua)$/.test(name))
      .map((name) => `${folder}/${name}`),
  )
  const textOf = (path: string) => {
    const text = readFileSync(`${root}${path}`, 'utf8')
    return path.endsWith('.lua') ? text.replace(/^ *--.*\n/gm, '') : text
  }
  return Object.fromEntries(paths.map((path) => [path, textOf(path)]))
}

/** The code of a CommonJS module as the body of a function that returns its exports. */
function asModule(code: string): string {
  return `const module = { exports: {} }; let exports = module.exports; ${code}\nreturn module.exports`
}

const outdir = `${root}build/lambda`
await rm(outdir, { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { lambda: 'lambda.ts', migrate: 'lambda-migrate.ts' },
  outdir,
  outExtension: { '.js': '.mjs' },
  metafile: true,
  ...BUILD_OPTIONS,
  plugins: [replaceCompilers(await precompile())],
})
for (const [file, { bytes }] of Object.entries(metafile.outputs))
  process.stdout.write(`${file}: ${(bytes / 1e6).toFixed(2)} MB\n`)
