import { html } from 'ghtml'
import type { Assets } from './assets.ts'
import type { Blog } from './page-data.ts'

interface Page {
  assets: Assets
  blog: Pick<Blog, 'name' | 'tagline'>
  /** Default: the blog's name. */
  title: string | undefined
  /** HTML. */
  main: string
  /** HTML of the sidebar; a page without it has no scripts. */
  aside?: string
}

/** A complete HTML page of the service. */
export function layout({ assets, blog, title, main, aside }: Page): string {
  const script = (name: 'popular-posts.js' | 'site.js') =>
    html`<script type="module" src="${assets[name].path}" integrity="${assets[name].integrity}"></script>`
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title === undefined ? blog.name : `${title} · ${blog.name}`}</title>
  <link rel="icon" href="${assets['icon.svg'].path}" type="image/svg+xml">
  <link rel="stylesheet" href="${assets['site.css'].path}" integrity="${assets['site.css'].integrity}">
  !${aside === undefined ? '' : [script('site.js'), script('popular-posts.js')]}
</head>
<body>
  <a class="skip" href="#main">Skip to the posts</a>
  <header class="masthead">
    <a class="name" href="/">${blog.name}</a>
    <p>${blog.tagline}</p>
  </header>
  <div class="columns">
    <main id="main">!${main}</main>
    !${aside === undefined ? '' : html`<aside aria-label="What is read">!${aside}</aside>`}
  </div>
  <footer>
    <p>Served by fastify-popular-posts: <a href="/posts/popular">its list</a>, <a href="/health/ready">its health</a></p>
  </footer>
</body>
</html>
`
}
