/** The HTML of the documents, in Chromium. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { openBrowser, openPage } from './browser.ts'

const HOST = 'https://site.test'
const SERVICE = 'https://popular.example'
const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const element = read('public/popular-posts.js')
const POSTS = [1, 2, 3].map((number) => ({
  slug: `post-${number}`,
  title: `Post ${number}`,
  url: `${HOST}/posts/post-${number}`,
  excerpt: `About ${number}`,
  author: { name: 'Ann', slug: 'ann' },
  image: number === 1 ? { url: `${SERVICE}/1.png`, width: 1, height: 1, alt: 'One' } : null,
  views: 10 - number,
}))
const CORS = { 'access-control-allow-origin': '*' }
const blocks = (file: string) =>
  [...read(file).matchAll(/```html\n([\s\S]*?)```/g)]
    .map(([, html = '']) => html)
    .filter((html) => /<popular-posts/.test(html))

const browser = await openBrowser(t)

for (const file of ['README.md', 'docs/element.md']) {
  t.test(`each example of ${file} shows the list`, async (t) => {
    t.ok(blocks(file).length > 0)
    for (const html of blocks(file)) {
      const { page, complaints } = await openPage(t, browser)
      const recorded: string[] = []
      const lists: string[] = []
      // Other requests are for the page and its images.
      await page.route('**', (route) => {
        const { pathname, href } = new URL(route.request().url())
        if (pathname.endsWith('.js'))
          return route.fulfill({ contentType: 'text/javascript', body: element, headers: CORS })
        if (pathname === '/posts/popular') {
          lists.push(href)
          return route.fulfill({ json: POSTS, headers: CORS })
        }
        if (pathname.endsWith('/views')) {
          recorded.push(pathname)
          return route.fulfill({ status: 204, headers: CORS })
        }
        const script = html.includes('<script') ? '' : '<script type="module" src="/popular-posts.js"></script>'
        return route.fulfill({ contentType: 'text/html', body: `<!doctype html><html lang="en">${html}${script}` })
      })
      await page.goto(HOST)
      await page.getByRole('link', { name: 'Post 1' }).waitFor()
      t.equal(await page.getByRole('listitem').count(), 3)
      t.match(lists, [/days=7/])
      const [, slug] = / record="([^"]+)"/.exec(html) ?? []
      t.same(recorded, slug === undefined ? [] : [`/posts/${slug}/views`])
      if (html.includes('<template>')) t.equal(await page.getByText('1, by Ann, read 9 times').count(), 1)
      t.same(complaints, [])
    }
  })
}
