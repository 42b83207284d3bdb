import type { BuildOptions } from 'esbuild'

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
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
  // Optional dependencies that are not installed.
  external: ['pg-native', 'pg-cloudflare'],
} satisfies BuildOptions
