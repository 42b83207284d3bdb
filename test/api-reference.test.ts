import { readFile } from 'node:fs/promises'
import t from 'tap'
import { API_REFERENCE, makeApiReference } from '../scripts/api-reference.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

t.test('docs/api.md is what the docstrings say, and its links lead somewhere', async (t) => {
  const made = await makeApiReference(await temporaryDirectory(t))
  t.equal(await readFile(API_REFERENCE, 'utf8'), made, 'else: npm run docs')
  for (const name of ['PopularPosts', 'PostViews', 'PopularPostsOptions', 'MetricsOptions'])
    t.match(made, new RegExp(`^### ${name}\\b`, 'm'), name)
  const anchors = new Set([...made.matchAll(/<a id="([^"]+)"/g)].map(([, anchor]) => anchor))
  const seen = new Map<string, number>()
  for (const [, heading = ''] of made.matchAll(/^#+ (.*)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
    const times = seen.get(slug) ?? 0
    seen.set(slug, times + 1)
    anchors.add(times === 0 ? slug : `${slug}-${times}`)
  }
  for (const [, anchor = ''] of made.matchAll(/\]\(#([^)]+)\)/g)) t.ok(anchors.has(anchor), `#${anchor}`)
})
