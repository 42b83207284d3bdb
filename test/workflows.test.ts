import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

interface Step {
  name?: string
  uses?: string
  run?: string
  env?: Record<string, string>
  with?: Record<string, unknown>
}

interface Job {
  needs?: string
  if?: string
  permissions?: Record<string, string>
  env?: Record<string, string>
  'runs-on': string
  'timeout-minutes'?: number
  steps: Step[]
}

interface Workflow {
  on: Record<string, unknown>
  permissions: Record<string, string>
  env?: Record<string, string>
  concurrency: { group: string; 'cancel-in-progress': unknown }
  jobs: Record<string, Job>
}

const folder = fileURLToPath(new URL('../.github/workflows', import.meta.url))
const files = readdirSync(folder).sort()
const workflowOf = (file: string) => parse(readFileSync(join(folder, file), 'utf8')) as Workflow
const ci = workflowOf('ci.yml')
const release = workflowOf('release.yml')
const docs = workflowOf('docs.yml')
const [verify, publish] = [release.jobs['verify'], release.jobs['publish']]
const runsOf = (job: Job | undefined) => (job?.steps ?? []).flatMap(({ run }) => run?.trim().split('\n') ?? [])

t.same(files, ['ci.yml', 'docs.yml', 'release.yml'])
/** The rights of the jobs that publish. */
const RIGHTS: Record<string, Record<string, string>> = {
  'release.yml publish': { contents: 'read', 'id-token': 'write' },
  'docs.yml publish': { pages: 'write', 'id-token': 'write' },
}

for (const file of files) {
  t.test(`${file} has the least permissions, and no secret in a command`, async (t) => {
    const { permissions, jobs, concurrency, env } = workflowOf(file)
    t.same(permissions, { contents: 'read' })
    t.equal(env, undefined, 'no variable for all jobs')
    t.match(concurrency.group, /\$\{\{ github\.ref \}\}/)
    for (const [name, job] of Object.entries(jobs)) {
      const isPublisher = `${file} ${name}` in RIGHTS
      t.same(job.permissions, RIGHTS[`${file} ${name}`], `${name}: permissions`)
      t.equal(job.env, undefined, `${name}: no variable for all steps`)
      t.match(job['runs-on'], /^ubuntu-\d\d\.\d\d$/, `${name}: a named version`)
      t.type(job['timeout-minutes'], 'number', `${name}: ends`)
      for (const { uses, run = '', env = {}, with: inputs } of job.steps) {
        if (uses !== undefined) t.match(uses, /^actions\/[a-z-]+@v\d+$/, `${name}: a pinned major version`)
        // GitHub inserts an expression into the script before the shell parses it: a branch name could be a command.
        t.notMatch(run, /\$\{\{|secrets/, `${name}: ${run}`)
        t.notMatch(JSON.stringify([env, inputs]), 'secrets.', `${name}: no secret`)
        if (uses?.startsWith('actions/checkout')) t.equal(inputs?.['persist-credentials'], false)
        if (uses?.startsWith('actions/setup-node')) t.equal(inputs?.['node-version'], isPublisher ? '24' : '20.20')
      }
    }
  })
}

t.test('CI runs .ci/run for each push to main and each pull request', async (t) => {
  t.same(ci.on, { push: { branches: ['main'] }, pull_request: null })
  t.same(runsOf(ci.jobs['checks']), ['.ci/run'])
})

t.test('a release publishes the tarball that was tested, after all tests, with provenance', async (t) => {
  t.same(release.on, { workflow_dispatch: null, push: { tags: ['v*'] } })
  const commands = runsOf(verify)
  const order = ['.ci/run', 'npm pack ', 'npm test -- test/package.test.ts', 'npm test -- test/install.test.ts']
  const found = order.map((command) => commands.findIndex((line) => line.startsWith(command)))
  t.notOk(found.includes(-1), 'each is there')
  t.same(
    [...found].sort((a, b) => a - b),
    found,
    'in this order',
  )
  t.match(commands.join('\n'), /^TEST_TARBALL=.*tarball\/\*\.tgz/m)

  t.equal(publish?.needs, 'verify')
  t.equal(publish?.if, "github.ref_type == 'tag'", 'a run on a branch does not publish')
  t.same(runsOf(publish), ['npm publish ./*.tgz --provenance --access public'])
  t.notOk(
    publish?.steps.some(({ uses = '' }) => uses.startsWith('actions/checkout')),
    'the job that may publish has no code of the repository',
  )
  for (const job of [verify, ...Object.values(ci.jobs)]) t.notMatch(runsOf(job).join('\n'), /npm publish/)
})

t.test('the site of the documents is built from main, and published for a tag by a job without code', (t) => {
  t.same(docs.on, { workflow_dispatch: null, push: { branches: ['main'], tags: ['v*'] } })
  t.same(runsOf(docs.jobs['build']), ['npm ci --no-audit --no-fund', 'npm run docs:site -- --base "/$NAME/"'])
  const site = docs.jobs['publish']
  t.match(site, { needs: 'build', if: "github.ref_type == 'tag'" })
  t.same(site?.steps, [{ uses: 'actions/deploy-pages@v4' }])
  t.end()
})

t.test('a tag that differs from the version or is missing in the changelog fails the release', async (t) => {
  const cases: [tag: string, changelog: string, fails: string | undefined][] = [
    ['v1.20.3', '# Changelog\n\n## 1.20.3 - 2026-12-01\n', undefined],
    ['v1.20.3', '## 1.20.3\n', undefined],
    ['v1.20.4', '## 1.20.3\n## 1.20.4\n', 'Expected the tag v1.20.3'],
    ['1.20.3', '## 1.20.3\n', 'Expected the tag v1.20.3'],
    ['v1.20.3', '## Unreleased\n', 'Expected a section "## 1.20.3"'],
    ['v1.20.3', '## 1.20.31\n## 1-20-3\n', 'Expected a section "## 1.20.3"'],
    ['v1.20.3', '### 1.20.3\n', 'Expected a section "## 1.20.3"'],
  ]
  const scripts = ['The tag is the version', 'The changelog has the version'].map((wanted) => {
    const script = verify?.steps.find(({ name }) => name === wanted)?.run
    if (script === undefined) throw new Error(`Expected a step "${wanted}" with a script.`)
    return script
  })
  for (const [tag, changelog, expected] of cases) {
    const directory = await temporaryDirectory(t)
    await writeFile(join(directory, 'package.json'), '{"version":"1.20.3"}')
    await writeFile(join(directory, 'CHANGELOG.md'), changelog)
    const results = await Promise.all(scripts.map((script) => runScript(directory, tag, script)))
    const failed = results.find(({ isOk }) => !isOk)
    if (expected === undefined) t.equal(failed, undefined, `${tag}: ${failed?.output}`)
    else t.match(failed?.output, expected, tag)
  }
})

/** Runs a script like GitHub: with bash, which stops at the first failing command. */
function runScript(cwd: string, tag: string, script: string): Promise<{ isOk: boolean; output: string }> {
  const env = { PATH: process.env['PATH'], GITHUB_REF_NAME: tag }
  return new Promise((resolve) => {
    execFile('bash', ['-e', '-c', script], { cwd, env }, (error, stdout, stderr) =>
      resolve({ isOk: error === null, output: stdout + stderr }),
    )
  })
}
