import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runIn } from './helpers/checkout.ts'
import { npmInstall } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = join(root, 'examples', 'frameworks')

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
const inScript = [['detail.posts.length', 'detail.post.length', /'post'/]] as const
const inMarkup = [
  ['show="image author"', 'show="image author" sort="best"', /best/],
  ['src="https', 'scr="https', /\bscr\b/],
] as const
const frameworks = {
  react: { file: 'react.tsx', options: { jsx: 'react-jsx' }, check: tsc, mistakes: [...inScript, ...inMarkup] },
  preact: {
    file: 'preact.tsx',
    options: { jsx: 'react-jsx', jsxImportSource: 'preact' },
    check: tsc,
    mistakes: [...inScript, ...inMarkup],
  },
  vue: {
    file: 'Vue.vue',
    types: 'vue.d.ts',
    options: {},
    check: ['node_modules/vue-tsc/bin/vue-tsc.js', '-p'],
    mistakes: [...inScript, inMarkup[0], ['src="list', 'scr="list', /\bscr\b/]] as const,
  },
  svelte: {
    file: 'Svelte.svelte',
    types: 'svelte.d.ts',
    options: {},
    check: ['node_modules/svelte-check/bin/svelte-check', '--output', 'machine', '--tsconfig'],
    mistakes: [...inScript, ...inMarkup],
  },
}

for (const [name, { file, options, check, mistakes, ...framework }] of Object.entries(frameworks)) {
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
    for (const [right, wrong, message] of mistakes) {
      await writeFile(join(directory, file), text.replace(right, wrong))
      t.match(await compile(), message, `${wrong} is found`)
    }
    await writeFile(join(directory, file), text)
  })
}
