import { readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'

/** Describes the machine, Node.js and Fastify of a measurement. */
export function machine(): string {
  const { version } = JSON.parse(readFileSync(new URL(import.meta.resolve('fastify/package.json')), 'utf8')) as {
    version: string
  }
  const [cpu] = cpus()
  return `${cpus().length} x ${cpu?.model}, load ${loadavg()[0]?.toFixed(1)}; Node.js ${process.version}, Fastify ${version}`
}

/** The name and the version of a server, without the folder of its program. */
export function versionOf({ description }: { description: string }): string {
  return description.split(' (')[0] ?? ''
}
