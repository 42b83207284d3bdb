import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { freePort } from '../../db/embedded/server.ts'
import type { PopularPostsOptions } from '../../index.ts'
import type { HostRedis } from '../../lib/host-redis.ts'
import { makeCertificate, tlsArguments } from '../helpers/certificate.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const SECRET = 'hunter2secret'
const documented = (await readFile('docs/operating.md', 'utf8')).split('## Causes in the log')[1]?.split('\n## ')[0]

async function start(t: Test, args: string[] = [], options = {}) {
  const server = await startRedis({ args, ...options })
  t.teardown(() => server.stop())
  const command = (...words: string[]) => redisCommand(server.port, ...words)
  return { ...server, command }
}

/** Waits until a warning has one of the codes; the log has no secret, and no address. */
async function expectCode(t: Test, options: PopularPostsOptions, codes: RegExp): Promise<void> {
  const { app, lines } = await startLoggedApp(t, options)
  const codesOf = () => lines.filter(({ level }) => level >= 40).map(({ err }) => err?.code)
  let days = 0
  await until(
    async () => {
      days = (days % 300) + 1
      await app.inject(`/posts/popular?days=${days}`)
      return codesOf().some((code) => codes.test(String(code)))
    },
    `a warning has ${codes}`,
    20_000,
  )
  const code = String(codesOf().find((code) => codes.test(String(code))))
  t.match(documented, `\`${code}\``, `${code} is documented`)
  const warnings = JSON.stringify(lines.filter(({ level }) => level >= 40))
  t.notMatch(warnings, SECRET)
  t.notMatch(warnings, /127\.0\.0\.\d|localhost|\.invalid/)
}

type Arrange = (t: Test) => Promise<string>

/** Servers that cannot be used, by what the log says of them. Each returns a URL. */
const REDIS: Record<string, [codes: RegExp, arrange: Arrange]> = {
  'no server': [/^ECONNREFUSED$/, async () => `redis://127.0.0.1:${await freePort()}`],
  'a server that hangs': [
    /^ETIMEDOUT$/,
    async (t) => {
      const server = await start(t)
      await server.kill('SIGSTOP')
      return server.url
    },
  ],
  'a host without an address': [/^(?:ENOTFOUND|EAI_AGAIN)$/, async () => `redis://${SECRET}.invalid:6379`],
  'a server that hangs up': [
    // ETIMEDOUT: ioredis connects again and again, and sends the command again, for longer than it may take.
    /^(?:ECONNRESET|ENOTCONN|ETIMEDOUT)$/,
    async (t) => {
      const server = createServer((socket) => socket.on('error', () => {}).end())
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(async () => void server.close())
      return `redis://127.0.0.1:${(server.address() as { port: number }).port}`
    },
  ],
  'a certificate that is not trusted': [
    /^DEPTH_ZERO_SELF_SIGNED_CERT$/,
    async (t) => {
      const tlsPort = await freePort()
      await start(t, tlsArguments(tlsPort, await makeCertificate(t)))
      return `rediss://localhost:${tlsPort}`
    },
  ],
  'a port without TLS': [/^ETIMEDOUT$/, async (t) => (await start(t)).url.replace('redis:', 'rediss:')],
  'a port with TLS, without it': [
    /^(?:ECONNRESET|ENOTCONN)$/,
    async (t) => {
      const tlsPort = await freePort()
      await start(t, tlsArguments(tlsPort, await makeCertificate(t)))
      return `redis://127.0.0.1:${tlsPort}`
    },
  ],
  'no password': [
    /^NOAUTH$/,
    async (t) => {
      const { url, command } = await start(t)
      await command('CONFIG', 'SET', 'requirepass', SECRET)
      return url
    },
  ],
  'a wrong password': [
    /^WRONGPASS$/,
    async (t) => {
      const { port, command } = await start(t)
      await command('CONFIG', 'SET', 'requirepass', 'another')
      return `redis://:${SECRET}@127.0.0.1:${port}`
    },
  ],
  'a user without rights': [
    /^NOPERM$/,
    async (t) => {
      const { port, command } = await start(t)
      await command('ACL', 'SETUSER', 'ann', 'on', `>${SECRET}`, '~*', '-@all')
      return `redis://ann:${SECRET}@127.0.0.1:${port}`
    },
  ],
  'a full server': [/^OOM$/, async (t) => (await start(t, ['--maxmemory', '1'])).url],
  'a replica': [
    /^READONLY$/,
    async (t) => {
      const { url, command } = await start(t)
      await command('REPLICAOF', '127.0.0.1', String(await freePort()))
      return url
    },
  ],
  'a replica without its primary': [
    /^MASTERDOWN$/,
    async (t) => {
      const { url, command } = await start(t, ['--replica-serve-stale-data', 'no'])
      await command('REPLICAOF', '127.0.0.1', String(await freePort()))
      return url
    },
  ],
  'a server that loads its data': [
    /^LOADING$/,
    async (t) => {
      const { url, port, directory, command, kill } = await start(t)
      await command('EVAL', "for i = 1, 100000 do redis.call('SET', i, i) end", '0')
      await command('SAVE')
      await kill()
      await start(t, ['--key-load-delay', '100', '--loading-process-events-interval-bytes', '1024'], {
        port,
        directory,
      })
      return url
    },
  ],
  'a node of a Cluster': [
    /^MOVED$/,
    async (t) => {
      const cluster = await startRedisCluster()
      t.teardown(() => cluster.stop())
      const other = ((await cluster.ownerOf('{blog:popular}:gen')) + 1) % 3
      return cluster.nodes[other]?.url ?? ''
    },
  ],
  'a Cluster without slots': [
    /^CLUSTERDOWN$/,
    async (t) => (await start(t, ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())])).url,
  ],
  'a server that runs a long script': [
    /^BUSY$/,
    async (t) => {
      const { url, port, command } = await start(t, ['--lua-time-limit', '1'])
      const other = new Redis(port)
      other.on('error', () => {})
      other.eval('while true do end', 0).catch(() => {})
      t.teardown(async () => {
        await command('SCRIPT', 'KILL')
        other.disconnect()
      })
      return url
    },
  ],
  'a server with too few replicas': [
    /^NOREPLICAS$/,
    async (t) => (await start(t, ['--min-replicas-to-write', '1'])).url,
  ],
  'a server that cannot save its data': [
    /^MISCONF$/,
    async (t) => {
      const { url, command, directory } = await start(t, ['--dbfilename', 'taken.rdb'])
      await command('CONFIG', 'SET', 'save', '1 1')
      await command('SET', 'key', 'value')
      // A folder of the name: the snapshot cannot be renamed to it.
      await mkdir(join(directory, 'taken.rdb', 'full'), { recursive: true })
      await command('BGSAVE')
      await until(
        async () => (await command('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'),
        'saving has failed',
      )
      return url
    },
  ],
  'a server with too many clients': [
    /^(?:MAXCLIENTS|EPIPE|ECONNRESET)$/,
    async (t) => {
      const { url, port, command } = await start(t)
      await command('CONFIG', 'SET', 'maxclients', '1')
      const other = new Redis(port)
      other.on('error', () => {})
      t.teardown(async () => other.disconnect())
      await until(async () => other.status === 'ready', 'the only client is connected')
      return url
    },
  ],
  'a key of another program': [
    /^WRONGTYPE$/,
    async (t) => {
      const { url, command } = await start(t)
      await command('SADD', '{blog:popular}:gen', 'not ours')
      return url
    },
  ],
}

for (const [name, [codes, arrange]] of Object.entries(REDIS)) {
  t.test(`Redis is ${name}: the log names ${codes}`, async (t) => {
    const redisUrl = await arrange(t)
    await t.test('with redisUrl', (t) => expectCode(t, { redisUrl }, codes))
    await t.test("with a host's client", async (t) => {
      const client = new Redis(redisUrl, { retryStrategy: () => 100, enableReadyCheck: false })
      client.on('error', () => {})
      t.teardown(async () => client.disconnect())
      await expectCode(t, { redis: client as HostRedis }, codes)
    })
  })
}

t.test('a Cluster that cannot be used is named by the error of its nodes', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  await cluster.command('CONFIG', 'SET', 'requirepass', 'another')
  const [first] = cluster.nodes
  const options = { redisCluster: true }
  await expectCode(t, { ...options, redisUrl: `redis://:${SECRET}@127.0.0.1:${first?.port}` }, /^WRONGPASS$/)
  await expectCode(t, { ...options, redisUrl: first?.url }, /^NOAUTH$/)
  await cluster.stop()
  await expectCode(t, { ...options, redisUrl: first?.url }, /^(?:ECONNREFUSED|ECONNRESET)$/)
})

t.test('PostgreSQL that cannot be used: the log names the cause', async (t) => {
  const directory = await temporaryDirectory(t)
  const hba = join(directory, 'pg_hba.conf')
  await writeFile(hba, 'host all postgres 127.0.0.1/32 trust\nhost all ann 127.0.0.1/32 scram-sha-256\n', {
    mode: 0o644,
  })
  const server = await startPostgres({ settings: { hba_file: hba } })
  t.teardown(() => server.remove())
  const admin = new Client({ connectionString: server.url })
  await admin.connect()
  await admin.query(`create role ann login password '${SECRET}'; create role bob login`)
  await admin.query('create database full_up connection limit 0')
  await admin.end()
  const silent = createServer((socket) => socket.on('error', () => {}).resume())
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(async () => void silent.close())
  const silentPort = (silent.address() as { port: number }).port
  const at = (user: string, database = 'postgres', more = '') =>
    `postgres://${user}@127.0.0.1:${server.port}/${database}${more}`
  const rows: Record<string, [url: string, codes: RegExp]> = {
    'no server': [`postgres://127.0.0.1:${await freePort()}/blog`, /^ECONNREFUSED$/],
    'a server that keeps silent': [`postgres://127.0.0.1:${silentPort}/blog`, /^ETIMEDOUT$/],
    'a host without an address': [`postgres://${SECRET}.invalid/blog`, /^(?:ENOTFOUND|EAI_AGAIN)$/],
    'a wrong password': [at('ann:wrong'), /^28P01$/],
    'a user that is not let in': [at('bob'), /^28000$/],
    'a database that does not exist': [at('postgres', SECRET), /^3D000$/],
    'a database without a free connection': [at(`ann:${SECRET}`, 'full_up'), /^53300$/],
    'a server without TLS': [at('postgres', 'postgres', '?sslmode=require'), /^ERR_TLS_UNSUPPORTED$/],
    'a database without tables': [at('postgres'), /^42P01$/],
  }
  for (const [name, [databaseUrl, codes]] of Object.entries(rows))
    await t.test(name, (t) => expectCode(t, { databaseUrl }, codes))
})

t.test('PostgreSQL that starts up: 57P03', async (t) => {
  const [code, message] = ['57P03', 'the database system is starting up']
  const fields = `SFATAL\0VFATAL\0C${code}\0M${message}\0\0`
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(fields.length + 4, 1)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.concat([head, Buffer.from(fields)])))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => void server.close())
  const { port } = server.address() as { port: number }
  await expectCode(t, { databaseUrl: `postgres://127.0.0.1:${port}/blog` }, /^57P03$/)
})
