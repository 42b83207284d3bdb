import { html } from 'ghtml'
import type { Assets } from './assets.ts'
import type { Blog } from './page-data.ts'
import type { Asides } from './sidebar.ts'

/** What all pages of a service share. */
export interface Frame {
  assets: Assets
  /** Whether the service has `/docs` and `/metrics`. */
  hasDocs: boolean
  hasMetrics: boolean
}

interface Page {
  frame: Frame
  blog: Pick<Blog, 'name' | 'tagline' | 'isDemo'>
  /** Default: the blog's name. */
  title: string | undefined
  /** HTML. */
  main: string
  /** The sidebar; a page without it has no scripts. */
  aside?: Asides
}

/** The README. */
const README = 'https://www.npmjs.com/package/fastify-popular-posts'

/** A complete HTML page of the service. */
export function layout({ frame, blog, title, main, aside }: Page): string {
  const { assets } = frame
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
    !${aside === undefined ? '' : html`<aside aria-label="What is read">!${aside.list}</aside>`}
    <main id="main">!${main}</main>
    !${aside === undefined ? '' : html`<aside aria-label="The cache">!${aside.panel}</aside>`}
  </div>
  <footer>
    !${about(blog.isDemo)}
    <nav aria-label="The service">!${links(frame)}</nav>
  </footer>
</body>
</html>
`
}

/** Says what the page shows. */
function about(isDemo: boolean): string {
  const blog = isDemo ? 'The blog and its readers are invented' : 'The posts are those of your blog'
  return html`<p class="about">This is the page of fastify-popular-posts, a service that counts the views of a blog’s posts, ranks the posts, and
    serves the lists from a cache. ${blog}; <i>Most read</i> is a list that the pages of a blog show.</p>`
}

function links({ hasDocs, hasMetrics }: Frame): string {
  return html`<a href="${README}">How to use it</a> <a href="/posts/popular">The list as JSON</a>
    <a href="/categories">Categories as JSON</a> !${hasDocs ? html`<a href="/docs">HTTP API</a> ` : ''}
    !${hasMetrics ? html`<a href="/metrics">Metrics</a> ` : ''}<a href="/health/ready">Health</a>`
}
