import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../db/embedded/server.ts'
import type { Teardown } from './program.ts'
import { findDebianProgram } from './services/find-debian-program.ts'
import { removeAtExit } from './services/reaper.ts'
import { startInFolder } from './services/start-in-folder.ts'
import { until } from './services/until.ts'

/** The Varnish to test with. It needs a C compiler, as Debian's package says. */
export const findVarnish = () =>
  findDebianProgram({ name: 'varnishd', debianPackage: 'varnish', folder: 'usr/sbin', versionArgs: ['-V'] })

/**
 * Starts Varnish in front of a server; it ends with the test.
 * @param address the server, such as `http://127.0.0.1:3000`.
 * @param vcl its configuration, without the backend.
 * @returns its own address.
 */
export async function startVarnish(t: Teardown, address: string, vcl: string): Promise<string> {
  const { program, env } = await findVarnish()
  const directory = await mkdtemp(join(tmpdir(), 'popular-posts-varnish-'))
  removeAtExit(directory)
  const file = (name: string) => join(directory, name)
  const port = await freePort()
  const { hostname, port: backendPort } = new URL(address)
  const backend = `backend default { .host = "${hostname}"; .port = "${backendPort}"; }`
  await writeFile(file('site.vcl'), `vcl 4.1;\n${backend}\n${vcl}\n`)
  // No jail: the users that it would change to do not exist here. -F: it ends with its parent.
  const args = ['-F', '-j', 'none', '-n', file('work'), '-a', `127.0.0.1:${port}`, '-f', file('site.vcl')]
  const memory = ['-s', 'malloc,64m', '-s', 'Transient=malloc,64m']
  const child = await startInFolder(t, { program, args: [...args, ...memory], env, directory })
  const own = `http://127.0.0.1:${port}`
  await until(async () => {
    if (child.exitCode !== null) throw new Error('Varnish ended: is there a C compiler?')
    return fetch(`${own}/health/live`).then(
      async (response) => (await response.text()) !== '',
      () => false,
    )
  }, 'Varnish accepts connections')
  return own
}
