import { builtinModules } from 'node:module'
import type { BuildOptions, Plugin } from 'esbuild'

/**
 * Loads the modules of Node.js by `require`. An `import` makes Node.js read every export of the module, and that of
 * `node:http` is `WebSocket`, for which it loads all of undici: 50 ms of a cold start.
 */
const requireBuiltins: Plugin = {
  name: 'require-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?[a-z\d_/]+$/ }, ({ path, namespace, kind }) => {
      const name = path.replace('node:', '')
      if (namespace === 'builtin' || kind === 'dynamic-import' || !builtinModules.includes(name)) return undefined
      return { path: name, namespace: 'builtin' }
    })
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}')`,
    }))
  },
}

/** The options of esbuild for code that runs on AWS Lambda. */
export const BUILD_OPTIONS = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  mainFields: ['module', 'main'],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  // Some packages are CommonJS and require modules of Node.js.
  banner: {
    js: "const require=process.getBuiltinModule('module').createRequire(import.meta.url);",
  },
  // Optional dependencies that are not installed.
  external: ['pg-native', 'pg-cloudflare'],
  plugins: [requireBuiltins],
} satisfies BuildOptions
