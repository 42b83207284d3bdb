// npm run docs:site: builds the documents as a site with search, into build/docs-site/. Arguments are those of
// `vitepress build`, such as `--base /name/`.
import { buildDocsSite, copyDocuments, installDocsSite } from './docs-site/build.ts'

await installDocsSite()
await copyDocuments()
process.stdout.write(await buildDocsSite(process.argv.slice(2)))
