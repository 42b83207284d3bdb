import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const folder = fileURLToPath(new URL('api-reference', import.meta.url))

/** The document that TypeDoc writes from the docstrings of the public types. */
export const API_REFERENCE = fileURLToPath(new URL('../docs/api.md', import.meta.url))

const HEAD = `# API reference

For programmers who use the plugin: each public type, as its docstrings describe it. Made by \`npm run docs\`.
`
/** The files that TypeDoc writes, and the imports that they are about. */
const TITLES = {
  index: 'fastify-popular-posts',
  'plugins.metrics': 'fastify-popular-posts/metrics',
  'telemetry.opentelemetry': 'fastify-popular-posts/opentelemetry',
}

/**
 * Makes the API reference, as Markdown.
 * @param out a folder for the files of TypeDoc.
 * @throws when a public type refers to one that is not exported, or a link in a docstring leads nowhere.
 */
export async function makeApiReference(out: string): Promise<string> {
  if (!existsSync(join(folder, 'node_modules')))
    await run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder })
  await run(join(folder, 'node_modules', '.bin', 'typedoc'), ['--out', out], { cwd: folder }).catch(
    (error: { stdout: string; stderr: string }) => {
      throw new Error(`TypeDoc failed: ${error.stdout}${error.stderr}`)
    },
  )
  const pages = await Promise.all(
    Object.entries(TITLES).map(async ([file, title]) => {
      const page = await readFile(join(out, `${file}.md`), 'utf8')
      return page.replace(/^# .*/, `## \`${title}\``).replaceAll(/\]\((?:index|[\w.]+)\.md(#[^)]*)?\)/g, ']($1)')
    }),
  )
  return `${HEAD}\n${pages.join('\n')}`
}
