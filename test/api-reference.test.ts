import { readFile } from 'node:fs/promises'
import t from 'tap'
import { API_REFERENCE, makeApiReference } from '../scripts/api-reference.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

t.test('docs/api.md is what TypeDoc generates from the docstrings', async (t) => {
  const made = await makeApiReference(await temporaryDirectory(t))
  t.equal(await readFile(API_REFERENCE, 'utf8'), made, 'else: npm run docs')
  for (const name of ['PopularPosts', 'PostViews', 'PopularPostsOptions', 'MetricsOptions'])
    t.match(made, new RegExp(`^### ${name}\\b`, 'm'), name)
})
