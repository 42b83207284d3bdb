// Builds build/lambda/, the artifact for AWS Lambda. See docs/deploy.md.
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { BUILD_OPTIONS } from './build-options.ts'
import { type Precompiled, precompile } from './precompile.ts'
import { replacePackages } from './replacements.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Files that the bundle replaces: see `precompile`. */
const REPLACED_FILES = /\/(?:(?:routes|settings)\/compile|lib\/text-files)\.ts$/

/** Replaces the compilers by precompiled code, and the reader of SQL files by their texts. */
function replaceFiles({ validators, settings }: Precompiled, folders: readonly string[]): Plugin {
  const known = (codes: Map<string, string>) => {
    const distinct = [...new Set(codes.values())]
    const names = [...codes].map(([name, code]) => `${JSON.stringify(name)}: code${distinct.indexOf(code)}`)
    return [
      ...distinct.map((code, index) => `const code${index} = () => {${asModule(code)}}`),
      `const known = { ${names} }`,
    ].join(';\n')
  }
  const contents: Record<string, string> = {
    'routes/compile.ts': `
      ${known(validators)}
      export const compileRoute = ({ method, url, httpPart }) => known[\`\${method} \${url} \${httpPart}\`]()`,
    'settings/compile.ts': `
      import { createHash } from 'node:crypto'
      import { formats } from './formats.ts'
      ${known(settings)}
      export const compileSettings = (schema) =>
        known[createHash('sha256').update(JSON.stringify(schema)).digest('base64url')]()`,
    'lib/text-files.ts': `
      const known = ${JSON.stringify(textFiles(folders))}
      export const readTextFile = (path) => known[path]`,
  }
  return {
    name: 'replace-files',
    setup({ onLoad }) {
      onLoad({ filter: REPLACED_FILES }, ({ path }) => ({ contents: contents[relative(root, path)] ?? '' }))
    },
  }
}

/** The texts of the folders: functions in SQL, or scripts in Lua without comments and indentation, by their paths. */
function textFiles(folders: readonly string[]): Record<string, string> {
  const paths = folders.flatMap((folder) =>
    readdirSync(`${root}${folder}`)
      .filter((name) => /\.(?:sql|lua)$/.test(name))
      .map((name) => `${folder}/${name}`),
  )
  const textOf = (path: string) => {
    const text = readFileSync(`${root}${path}`, 'utf8')
    return path.endsWith('.lua') ? text.replace(/^ *(?:--.*\n)?/gm, '') : text
  }
  return Object.fromEntries(paths.map((path) => [path, textOf(path)]))
}

/** The code of a CommonJS module as the body of a function that returns its exports. */
function asModule(code: string): string {
  return `const module = { exports: {} }; let exports = module.exports; ${code}\nreturn module.exports`
}

const outdir = `${root}build/lambda`
await rm(outdir, { recursive: true, force: true })
const precompiled = await precompile()
/** The entry points, with the folders whose texts they read. */
const ENTRIES = [
  { name: 'lambda', source: 'lambda.ts', folders: ['cache/lua', 'views/lua'] },
  { name: 'migrate', source: 'lambda-migrate.ts', folders: ['db/migrations'] },
]
for (const { name, source, folders } of ENTRIES) {
  const { metafile } = await build({
    ...BUILD_OPTIONS,
    absWorkingDir: root,
    entryPoints: { [name]: source },
    outdir,
    outExtension: { '.js': '.mjs' },
    metafile: true,
    plugins: [...BUILD_OPTIONS.plugins, replacePackages, replaceFiles(precompiled, folders)],
  })
  for (const [file, { bytes }] of Object.entries(metafile.outputs))
    process.stdout.write(`${file}: ${(bytes / 1e6).toFixed(2)} MB\n`)
}
