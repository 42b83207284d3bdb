import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { folderWith, outputOf } from './find-program.ts'

interface FoundChromium {
  program: string
  /** What to add to the environment: where its libraries and its fonts are. */
  env: Readonly<Record<string, string>>
  version: string
  /** For people: where it is from. */
  from: string
}

interface FindChromiumOptions {
  path?: string
  /** Where a downloaded one is kept. */
  cache?: string
  /** Fills the cache folder; tells whether it could. */
  download?: typeof downloadPackages
  /** Told of what takes more than a moment. */
  say?: (text: string) => void
}

const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']

/**
 * The same browser without its windows: half the libraries, and half the time to start. And something to write with.
 */
const PACKAGES = ['chromium-headless-shell', 'fonts-inter', 'fonts-urw-base35']

/**
 * The Chromium to test with: of this machine, else Debian's own, unpacked into a cache folder: no root, nothing
 * installed.
 */
export async function findChromium(options: FindChromiumOptions = {}): Promise<FoundChromium> {
  const { path = process.env['PATH'] ?? '', cache = cacheFolder('chromium'), download = downloadPackages } = options
  for (const name of NAMES) {
    const folder = await folderWith([name], path)
    const found = folder === undefined ? undefined : await describe(join(folder, name), {}, folder)
    if (found !== undefined) return found
  }
  const known = await inCache(cache)
  if (known !== undefined) return known
  options.say?.('Downloading Debian’s Chromium, once (some 100 MB)')
  const found = (await download({ packages: PACKAGES, cache, isUsable })) ? await inCache(cache) : undefined
  if (found !== undefined) return found
  throw new StartupError('no Chromium to test with: install chromium, with any program of that name on the PATH')
}

async function isUsable(cache: string): Promise<boolean> {
  return (await inCache(cache)) !== undefined
}

async function inCache(cache: string): Promise<FoundChromium | undefined> {
  const programs = join(cache, 'usr', 'lib')
  const folder = await folderWith(['chromium-headless-shell'], join(programs, 'chromium'))
  if (folder === undefined) return undefined
  const fonts = join(cache, 'fonts.conf')
  await writeFile(
    fonts,
    `<fontconfig>
      <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
      <dir>${join(cache, 'usr', 'share', 'fonts')}</dir>
      <cachedir>${join(cache, 'fonts')}</cachedir>
    </fontconfig>`,
  )
  const env = { ...(await librariesIn(cache)), FONTCONFIG_FILE: fonts }
  return describe(join(folder, 'chromium-headless-shell'), env, `Debian's packages in ${cache}`)
}

async function describe(program: string, env: FoundChromium['env'], from: string): Promise<FoundChromium | undefined> {
  const output = await outputOf(program, ['--version', '--no-sandbox'], { env: { ...process.env, ...env } })
  const version = /(\d+\.\d+\.\d+\.\d+)/.exec(output ?? '')?.[1]
  return version === undefined ? undefined : { program, env, version, from }
}
