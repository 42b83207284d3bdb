import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'scripts/docs-site')
/** What is on the site. */
const SOURCES = ['*.md', 'docs/*.md', 'docs/images/*.jpg', 'examples/**/README.md', 'bench/peers/README.md']

/** Installs VitePress, in a folder of its own. */
export async function installDocsSite(): Promise<void> {
  await run('npm', ['ci', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder })
}

/** Copies the documents to where VitePress reads them. Resolves to that folder. */
export async function copyDocuments(): Promise<string> {
  const pages = join(folder, 'pages')
  await rm(pages, { recursive: true, force: true })
  const globs = SOURCES.map((source) => `:(glob)${source}`)
  const listed = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...globs], { cwd: root })
  const files = listed.stdout.trim().split('\n')
  // A file may be deleted, and not yet for git.
  for (const file of files.filter((each) => existsSync(join(root, each)))) {
    await mkdir(dirname(join(pages, file)), { recursive: true })
    await cp(join(root, file), join(pages, file))
  }
  return pages
}

/**
 * Builds the site. Resolves to what VitePress has printed.
 * @throws when a link is dead.
 */
export async function buildDocsSite(args: readonly string[]): Promise<string> {
  const program = join(folder, 'node_modules/.bin/vitepress')
  // Options of Node.js for this process are not for that one.
  const built = await run('env', ['-u', 'NODE_OPTIONS', program, 'build', ...args], { cwd: folder })
  return built.stdout + built.stderr
}
