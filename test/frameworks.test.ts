import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runIn } from './helpers/checkout.ts'
import { npmInstall } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = join(root, 'examples', 'frameworks')

t.setTimeout(900_000)

const directory = await temporaryDirectory(t)
await writeFile(join(directory, 'package.json'), '{"private":true,"type":"module"}')
const packages = ['@types/react@19', 'preact@10', 'vue@3', 'vue-tsc@3', 'svelte@5', 'svelte-check@4', 'typescript@5.9']
await runIn(directory, 'npm', ...npmInstall, '--ignore-scripts', ...packages)
await symlink(root, join(directory, 'node_modules', 'fastify-popular-posts'))
await cp(examples, directory, { recursive: true })

const base = {
  strict: true,
  target: 'es2022',
  module: 'esnext',
  moduleResolution: 'bundler',
  noEmit: true,
  lib: ['es2023', 'dom', 'dom.iterable'],
  types: [],
}
const tsc = ['node_modules/typescript/bin/tsc', '-p']
const frameworks = {
  react: { file: 'react.tsx', options: { jsx: 'react-jsx' }, check: tsc },
  preact: { file: 'preact.tsx', options: { jsx: 'react-jsx', jsxImportSource: 'preact' }, check: tsc },
  vue: { file: 'Vue.vue', types: 'vue.d.ts', options: {}, check: ['node_modules/vue-tsc/bin/vue-tsc.js', '-p'] },
  svelte: {
    file: 'Svelte.svelte',
    types: 'svelte.d.ts',
    options: {},
    check: ['node_modules/svelte-check/bin/svelte-check', '--output', 'machine', '--tsconfig'],
  },
}

for (const [name, { file, options, check, ...framework }] of Object.entries(frameworks)) {
  t.test(`the types of the element hold in ${name}`, async (t) => {
    const config = `tsconfig.${name}.json`
    const include = [file, ...('types' in framework ? [framework.types] : [])]
    const settings = {
      compilerOptions: { ...base, ...options },
      include,
      vueCompilerOptions: { strictTemplates: true },
    }
    await writeFile(join(directory, config), JSON.stringify(settings))
    const compile = () =>
      runIn(directory, process.execPath, ...check, config).then(
        () => 'is right',
        ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
      )
    t.equal(await compile(), 'is right')

    const text = await readFile(join(examples, file), 'utf8')
    // Each of these mistakes has to be found in one run.
    const wrong = text
      .replace('show="image author"', 'show="image author" sort="best"')
      .replace('src="https', 'scr="https')
      .replace('detail.posts.length', 'detail.post.length')
    await writeFile(join(directory, file), wrong)
    const said = await compile()
    for (const mistake of ['"best"', /\bscr\b/, /'post'/]) t.match(said, mistake, `${mistake} is found`)
    await writeFile(join(directory, file), text)
  })
}
