/**
 * The navigation of the site: groups of pages. A page is a Markdown file of this repository, by its path, with an anchor
 * where the navigation leads into a page.
 * @type {{ text: string, pages: { text: string, page: string }[] }[]}
 */
export const NAVIGATION = [
  {
    text: 'Start',
    pages: [
      { text: 'What it is', page: 'README.md' },
      { text: 'Examples', page: 'examples/README.md' },
      { text: 'Recipes', page: 'docs/recipes.md' },
    ],
  },
  {
    text: 'Your site',
    pages: [
      { text: 'A Fastify app', page: 'README.md#in-your-app' },
      { text: 'NestJS', page: 'docs/hosts.md#nestjs' },
      { text: 'Plugins, bundlers, Jest, CDNs', page: 'docs/hosts.md' },
      { text: 'A static site', page: 'docs/static-sites.md' },
      { text: 'WordPress, Ghost, Django …', page: 'docs/adopt.md' },
      { text: 'A blog with its own tables', page: 'docs/adopting.md' },
      { text: 'AWS Lambda', page: 'docs/deploy.md#on-aws-lambda' },
      { text: 'A container', page: 'docs/deploy.md#as-a-process' },
    ],
  },
  {
    text: 'Use',
    pages: [
      { text: 'HTTP', page: 'docs/http.md' },
      { text: 'The element', page: 'docs/element.md' },
      { text: 'Your own lists', page: 'docs/own-lists.md' },
      { text: 'Counting views', page: 'docs/counting.md' },
      { text: 'Formats of access logs', page: 'docs/log-formats.md' },
      { text: 'Views of other counters', page: 'docs/import-counts.md' },
      { text: 'Options and environment', page: 'docs/options.md' },
      { text: 'API reference', page: 'docs/api.md' },
    ],
  },
  {
    text: 'Operate',
    pages: [
      { text: 'Deploying', page: 'docs/deploy.md' },
      { text: 'A cache in front', page: 'docs/proxies.md' },
      { text: 'Operating', page: 'docs/operating.md' },
      { text: 'Metrics', page: 'docs/metrics.md' },
      { text: 'Scale', page: 'docs/scale.md' },
      { text: 'Numbers', page: 'docs/numbers.md' },
      { text: 'Security', page: 'SECURITY.md' },
    ],
  },
  {
    text: 'Inside',
    pages: [
      { text: 'The cache', page: 'docs/cache.md' },
      { text: 'Decisions', page: 'docs/decisions.md' },
      { text: 'Changelog', page: 'CHANGELOG.md' },
      { text: 'Contributing', page: 'CONTRIBUTING.md' },
    ],
  },
]
