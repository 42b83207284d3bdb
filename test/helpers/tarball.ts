import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkOut, runIn } from './checkout.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/**
 * Packs the package, as `npm publish` does.
 * @returns the path of the tarball. With `TEST_TARBALL` that file, because a release tests the file that it publishes.
 */
export async function packPackage(t: { teardown(end: () => Promise<void>): unknown }): Promise<string> {
  const packed = process.env['TEST_TARBALL']
  if (packed !== undefined) return packed
  const directory = await temporaryDirectory(t)
  await runIn(await checkOut(t), 'npm', 'pack', '--pack-destination', directory)
  const name = (await readdir(directory)).find((file) => file.endsWith('.tgz')) ?? ''
  return join(directory, name)
}

/** The arguments of an npm installation that prefers its cache. */
export const npmInstall = ['install', '--prefer-offline', '--no-audit', '--no-fund'] as const

/** The version of a package that is installed in a folder. */
export async function installedVersion(directory: string, name: string): Promise<string> {
  const manifest = await readFile(join(directory, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
