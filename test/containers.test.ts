import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { environmentSchema } from '../service/config.ts'
import { runIn } from './helpers/checkout.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll(/\\\n\s*/g, '')
const instructions = text
  .split('\n')
  .filter((line) => /^[A-Z]/.test(line))
  .map((line) => ({ name: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }))

interface Service {
  image?: string
  build?: string
  command?: string[]
  environment?: Record<string, string>
  read_only?: boolean
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
}
const { services } = parse(readFileSync(join(root, 'compose.yml'), 'utf8')) as { services: Record<string, Service> }

t.test('the image runs as an unprivileged user, and has all programs that it starts', async (t) => {
  const stage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
  t.equal(stage.find(({ name }) => name === 'USER')?.rest, 'node')
  const [command] = stage.filter(({ name }) => name === 'CMD')
  const [program, file = ''] = JSON.parse(command?.rest ?? '[]') as string[]
  t.equal(program, 'node')
  for (const built of [
    file,
    ...Object.values(services).flatMap(({ command: [name, what = ''] = [] }) => (name === 'node' ? [what] : [])),
  ])
    t.ok(existsSync(join(root, built.replace('dist/', '').replace('.js', '.ts'))), built)
  t.ok(
    stage.filter(({ name }) => name === 'COPY').every(({ rest }) => rest.startsWith('--from=build /service/')),
    'nothing but what was built',
  )
  // Other names exist only on the machine that builds the image.
  for (const { name, rest } of instructions)
    t.match(name, /^(?:FROM|WORKDIR|COPY|RUN|ENV|USER|EXPOSE|HEALTHCHECK|CMD)$/, rest)
})

t.test('the image keeps every package that the service and the command import', async (t) => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object }
  const kept = [...Object.keys(dependencies), ...(/for name in ([^;]+);/.exec(text)?.[1]?.split(' ') ?? [])]
  const reached = ['server.ts', 'bin/popular-posts.ts']
  for (const file of reached) {
    const code = readFileSync(join(root, file), 'utf8')
    for (const [, from = ''] of code.matchAll(/^(?:import|export) (?!type )[^'"]*?from '([^']+)'/gm)) {
      const target = normalize(join(dirname(file), from))
      if (from.startsWith('.') && !reached.includes(target)) reached.push(target)
      const [scope = '', name = ''] = from.split('/')
      if (!/^(?:\.|node:)/.test(from))
        t.ok(kept.includes(from.startsWith('@') ? `${scope}/${name}` : scope), `${file} imports ${from}`)
    }
  }
  t.ok(reached.length > 50, 'its parts are found')
})

t.test('the health check fails for a process that does not reply', async (t) => {
  const { rest = '' } = instructions.find(({ name }) => name === 'HEALTHCHECK') ?? {}
  const [program = '', ...args] = JSON.parse(rest.slice(rest.indexOf('['))) as string[]
  let status = 200
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/health/live' ? status : 404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const check = async () => {
    const env = { ...process.env, PORT: String((server.address() as AddressInfo | null)?.port ?? 1) }
    const [code] = await once(spawn(program, args, { env }), 'exit')
    return code
  }
  t.equal(await check(), 0)
  status = 503
  t.equal(await check(), 1)
  await new Promise((resolve) => server.close(resolve))
  t.equal(await check(), 1)
})

t.test('compose starts the services in order, and publishes ports only on loopback', async (t) => {
  const names = Object.keys(services)
  for (const [name, service] of Object.entries(services)) {
    t.ok((service.image === undefined) !== (service.build === undefined), `${name} is built or pulled`)
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      t.ok(names.includes(other), `${name} waits for ${other}`)
      t.match(condition, /^service_(?:healthy|completed_successfully)$/)
    }
    for (const port of service.ports ?? []) t.match(port, /^127\.0\.0\.1:/)
    if (service.build === undefined) continue
    t.equal(service.read_only, true, `${name} writes no files`)
    for (const variable of Object.keys(service.environment ?? {}))
      t.ok(variable in environmentSchema.properties, `${name}: ${variable}`)
  }
})

t.test('compose passes on every setting that it does not decide itself', async (t) => {
  const given = services['service']?.environment ?? {}
  t.same(services['migrate']?.environment, given, 'the migration has the same')
  // The servers of compose.yml, its port, and the sign-in to servers of AWS.
  const decided = /^(?:HOST|PORT|DATA_DIR|REDIS_CLUSTER|REDIS_IAM_\w+|DATABASE_IAM|AWS_\w+)$/
  const names = Object.keys(environmentSchema.properties).filter((name) => !decided.test(name))
  t.same(Object.keys(given).toSorted(), names.toSorted())
  for (const [name, value] of Object.entries(given))
    if (!/^(?:DATABASE|REDIS)_URL$/.test(name)) t.equal(value, `\${${name}:-}`, `${name}: empty, if it is not set`)
})

t.test('docker parses compose.yml, where docker is installed', async (t) => {
  const version = await runIn(root, 'docker', 'compose', 'version').catch(() => '')
  if (version === '') return t.pass('no docker compose on this machine')
  const config = await runIn(root, 'env', 'POSTGRES_PASSWORD=secret', 'docker', 'compose', 'config', '--format', 'json')
  return t.same(Object.keys((JSON.parse(config) as { services: object }).services).sort(), Object.keys(services).sort())
})
