// Makes build/lambda/: what is deployed to AWS Lambda. See docs/deploy.md.
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { type Precompiled, precompile } from './precompile.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Modules that a bundle has other ones for: see `precompile`. */
const REPLACED_PACKAGES = /^@fastify\/(?:ajv-compiler|fast-json-stringify-compiler)$/
const REPLACED_FILES = /\/(?:(?:routes|settings)\/compile|db\/sql-files)\.ts$/

/** Fastify has compilers at hand for routes that bring none. */
const NONE = `module.exports = () => () => { throw new Error('Expected every route to bring its compilers.') }`

/** Puts code that was compiled ahead in the place of the compilers. */
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
    'db/sql-files.ts': `
      const known = ${JSON.stringify(sqlFiles())}
      export const readSqlFile = (path) => known[path]`,
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

/** The texts of the functions that migrations create, by their paths in `db/`. */
function sqlFiles(): Record<string, string> {
  const names = readdirSync(`${root}db/migrations`).filter((name) => name.endsWith('.sql'))
  return Object.fromEntries(
    names.map((name) => [`migrations/${name}`, readFileSync(`${root}db/migrations/${name}`, 'utf8')]),
  )
}

/** The code of a CommonJS module as the body of a function that answers what it exports. */
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
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  mainFields: ['module', 'main'],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  // Some packages are CommonJS and ask for Node.js' own modules.
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
  // Found where they are wanted, and missed nowhere else.
  external: ['pg-native', 'pg-cloudflare'],
  plugins: [replaceCompilers(await precompile())],
})
for (const [file, { bytes }] of Object.entries(metafile.outputs))
  process.stdout.write(`${file}: ${(bytes / 1e6).toFixed(2)} MB\n`)
