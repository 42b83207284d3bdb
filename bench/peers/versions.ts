import { readFileSync } from 'node:fs'

const OURS = new URL('../../package.json', import.meta.url)

function packageOf(file: URL): { version: string; dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** The versions of the caches that were measured. */
export function versions(): string {
  const { dependencies } = packageOf(new URL('package.json', import.meta.url))
  const others = Object.keys(dependencies).map(
    (name) => `${name} ${packageOf(new URL(`node_modules/${name}/package.json`, import.meta.url)).version}`,
  )
  return `fastify-popular-posts ${packageOf(OURS).version} on its own ioredis; ${others.join(', ')}.`
}
