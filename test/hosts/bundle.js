// Bundles versions.js: `node bundle.js TOOL FORMAT FILE`. The bundle needs no other file.
import { cp } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const [, , tool, format, file] = process.argv
const entry = join(import.meta.dirname, 'versions.js')
const external = ['pg-native', 'pg-cloudflare']
const banner = {
  js: "import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);",
}
const TOOLS = {
  async esbuild() {
    const { build } = await import('esbuild')
    const esm = format === 'esm' ? { banner } : {}
    await build({ entryPoints: [entry], outfile: file, bundle: true, platform: 'node', format, external, ...esm })
  },
  async webpack() {
    const { default: webpack } = await import('webpack')
    const output = { path: dirname(file), filename: 'webpack.cjs' }
    const externals = Object.fromEntries(external.map((name) => [name, `commonjs ${name}`]))
    const compiler = webpack({ mode: 'production', target: 'node20', entry, output, externals })
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, result) => (error ? reject(error) : resolve(result)))
    })
    if (stats.hasErrors()) throw new Error(stats.toString('errors-only'))
    await cp(join(output.path, output.filename), file)
  },
  async tsup() {
    const { build } = await import('tsup')
    const outDir = dirname(file)
    const esm = format === 'esm' ? { banner } : {}
    const options = { format: [format], outDir, external, noExternal: [/./], silent: true, clean: false, config: false }
    await build({ entry: { tsup: entry }, ...options, platform: 'node', target: 'node20', ...esm })
    const extension = { esm: 'js', cjs: 'cjs' }[format]
    await cp(join(outDir, `tsup.${extension}`), file)
  },
}
await TOOLS[tool]()
