import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { isNotModified } from '../../lib/entity-tags.ts'

interface Asset {
  /** The permanent path: it contains a hash of the content. */
  path: string
  /** The value for Subresource Integrity. */
  integrity: string
}

/** The assets by file name. */
export type Assets = Record<(typeof NAMES)[number], Asset>

/** What the pages of a blog load. */
const ELEMENT = 'popular-posts.js'
const NAMES = [ELEMENT, 'site.js', 'site.css', 'icon.svg'] as const
const TYPES: Record<string, string> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const A_YEAR = 'public, max-age=31536000, immutable'
/** Long enough for one visit; after that the browser revalidates. */
const A_WHILE = 'public, max-age=300'

/**
 * Serves the files of `public/`, for pages of any origin: `/popular-posts.js`, cached for five minutes, and
 * `/popular-posts.<hash>.js`, cached for a year.
 */
export async function serveAssets(app: FastifyInstance): Promise<Assets> {
  const entries = NAMES.map(async (name) => [name, await serve(app, name)] as const)
  return Object.fromEntries(await Promise.all(entries)) as Assets
}

/** Serves only the element, for a service without pages. */
export async function serveElement(app: FastifyInstance): Promise<void> {
  await serve(app, ELEMENT)
}

async function serve(app: FastifyInstance, name: string): Promise<Asset> {
  // Resolved by the name of the package, which gives the same folder from the sources and from `dist/`.
  const body = await readFile(new URL(import.meta.resolve(`fastify-popular-posts/public/${name}`)))
  const extension = extname(name)
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 16)
  const path = `/${name.slice(0, -extension.length)}.${hash}${extension}`
  const etag = `"${hash}"`
  for (const [url, caching] of [
    [`/${name}`, A_WHILE],
    [path, A_YEAR],
  ] as const) {
    app.get(url, async (request, reply) => {
      reply.headers({
        'content-type': TYPES[extension],
        'cache-control': caching,
        etag,
        'access-control-allow-origin': '*',
        'cross-origin-resource-policy': 'cross-origin',
        'x-content-type-options': 'nosniff',
      })
      return isNotModified(request.headers['if-none-match'], etag) ? reply.code(304).send() : body
    })
  }
  return { path, integrity: `sha384-${createHash('sha384').update(body).digest('base64')}` }
}
