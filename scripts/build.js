// Compiles dist/: `npm run build`, and so `npm install` and `npm start`. Services and commands may run from dist/ at the
// same time, and other builds too. So every changed file is replaced by a rename, unchanged files are not touched, and
// files that the sources no longer produce are removed last.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')

/** @param {string} folder @returns {string[]} the paths of its files, as seen from it */
function filesIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}

/** @param {string} built @param {string} installed */
function isSame(built, installed) {
  return (
    existsSync(installed) &&
    statSync(built).mode === statSync(installed).mode &&
    readFileSync(built).equals(readFileSync(installed))
  )
}

/**
 * Corrects the paths of the sources in all maps: dist/ is one folder nearer to the sources than the folder of the build.
 * @param {string} folder a complete dist/
 */
function moveMaps(folder) {
  for (const file of filesIn(folder).filter((name) => name.endsWith('.map'))) {
    const map = JSON.parse(readFileSync(join(folder, file), 'utf8'))
    const sources = map.sources.map((/** @type {string} */ source) => source.replace('../', ''))
    writeFileSync(join(folder, file), JSON.stringify({ ...map, sources }))
  }
}

/**
 * Replaces the module that reads `.sql` and `.lua` files by one that holds their texts. An app that bundles this package has
 * no such files beside it, and in a bundle of CommonJS there is no `import.meta.url`.
 * @param {string} folder a complete dist/
 */
function holdTexts(folder) {
  const paths = ['cache', 'db', 'views'].flatMap((room) =>
    filesIn(join(root, room))
      .filter((name) => /\.(?:lua|sql)$/.test(name))
      .map((name) => `${room}/${name}`),
  )
  const texts = Object.fromEntries(paths.sort().map((path) => [path, readFileSync(join(root, path), 'utf8')]))
  const code = `const texts = ${JSON.stringify(texts, undefined, 1)}\nexport const readTextFile = (path) => texts[path]\n`
  writeFileSync(join(folder, 'lib', 'text-files.js'), code)
  rmSync(join(folder, 'lib', 'text-files.js.map'), { force: true })
}

/** @param {string} folder a complete dist/ */
function install(folder) {
  const files = filesIn(folder)
  for (const file of files) {
    const [built, installed] = [join(folder, file), join(dist, file)]
    if (isSame(built, installed)) continue
    mkdirSync(dirname(installed), { recursive: true })
    renameSync(built, installed)
  }
  for (const file of filesIn(dist)) if (!files.includes(file)) rmSync(join(dist, file), { force: true })
}

// On the same disk as dist/, because a rename cannot cross disks.
mkdirSync(join(root, 'build'), { recursive: true })
const folder = mkdtempSync(join(root, 'build', 'dist-'))
try {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', folder]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) {
    holdTexts(folder)
    // npm makes a command executable only when it links it.
    chmodSync(join(folder, 'bin', 'popular-posts.js'), 0o755)
    moveMaps(folder)
    install(folder)
  }
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
