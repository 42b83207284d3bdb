import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../db/embedded/server.ts'
import type { Teardown } from './program.ts'
import { findNginx } from './services/find-nginx.ts'
import { removeAtExit } from './services/reaper.ts'
import { startInFolder } from './services/start-in-folder.ts'
import { until } from './services/until.ts'

/**
 * Starts nginx in front of servers, which it uses in turn; it ends with the test. As in its documentation, it appends the
 * address of its client to X-Forwarded-For. Here that client is this machine, in the place of a CDN.
 * @param addresses the servers, such as `http://127.0.0.1:3000`.
 * @param cached locations that a cache named `lists` stores. In their text `http://127.0.0.1:3000`, as in docs/http.md, is the
 * servers.
 * @returns its own address.
 */
export async function startNginx(t: Teardown, addresses: readonly string[], cached = ''): Promise<string> {
  const { program, env } = await findNginx()
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-nginx-'))
  removeAtExit(directory)
  const file = (name: string) => join(directory, name)
  const port = await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  await writeFile(
    file('nginx.conf'),
    `daemon off;
    # One process, which cannot outlive its parent.
    master_process off;
    pid ${file('pid')};
    error_log ${file('error.log')};
    events { worker_connections 1024; }
    http {
      access_log off;
      proxy_cache_path ${file('cache')} keys_zone=lists:1m;
      ${temporary.map((name) => `${name}_temp_path ${file(name)};`).join('\n')}
      upstream servers {
        ${addresses.map((address) => `server ${new URL(address).host};`).join('\n')}
        keepalive 64;
      }
      server {
        listen 127.0.0.1:${port};
        keepalive_requests 1000000;
        ${cached.replaceAll('http://127.0.0.1:3000', 'http://servers')}
        location / {
          proxy_pass http://servers;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
      }
    }`,
  )
  const child = await startInFolder(t, {
    program,
    args: ['-e', file('error.log'), '-c', file('nginx.conf')],
    env,
    directory,
  })
  const address = `http://127.0.0.1:${port}`
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${await readFile(file('error.log'), 'utf8')}`)
    return fetch(address).then(
      async (response) => (await response.text()) !== '',
      () => false,
    )
  }, 'nginx accepts connections')
  return address
}
