import { readFileSync } from 'node:fs'
import { machine } from '../machine.ts'

const OURS = new URL('../../package.json', import.meta.url)

function packageOf(file: URL): { version: string; dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** What was measured, in which version, and on what. */
export function setting(): string {
  const { dependencies } = packageOf(new URL('package.json', import.meta.url))
  const versions = Object.keys(dependencies).map(
    (name) => `${name} ${packageOf(new URL(`node_modules/${name}/package.json`, import.meta.url)).version}`,
  )
  return `${machine()}; fastify-popular-posts ${packageOf(OURS).version} on its own ioredis; ${versions.join(', ')}`
}

/** A table in Markdown; the first column is words, the others are figures. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return line(head) + line(head.map((_name, place) => (place === 0 ? '---' : '--:'))) + rows.map(line).join('')
}

/** All of a list, beginning with another one each round: whoever comes first or after whom weighs on all alike. */
export function inTurn<T>(all: readonly T[], round: number): T[] {
  const first = round % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}
