import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StartupError } from '../../../lib/errors.ts'
import { cacheFolder, downloadPackages, librariesIn } from './download-packages.ts'
import { folderWith, outputOf } from './find-program.ts'

interface FoundChromium {
  program: string
  /** Variables for the environment of the program: the folders of its libraries and fonts. */
  env: Readonly<Record<string, string>>
  version: string
  /** The origin of the program, for the output. */
  from: string
}

interface FindChromiumOptions {
  path?: string
  /** The folder of a downloaded program. */
  cache?: string
  /** Fills the cache folder. Resolves to whether that worked. */
  download?: typeof downloadPackages
  /** Called before a download. */
  say?: (text: string) => void
}

const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome']

/** The headless build has half the libraries of Chromium, and starts in half the time. It needs fonts. */
const PACKAGES = ['chromium-headless-shell', 'fonts-inter', 'fonts-urw-base35']

/** Finds the Chromium of this machine, else downloads that of Debian into a cache folder, without installing it. */
export async function findChromium(options: FindChromiumOptions = {}): Promise<FoundChromium> {
  const { path = process.env['PATH'] ?? '', cache = cacheFolder('chromium'), download = downloadPackages } = options
  for (const name of NAMES) {
    const folder = await folderWith([name], path)
    const found = folder === undefined ? undefined : await describe(join(folder, name), {}, folder)
    if (found !== undefined) return found
  }
  const known = await inCache(cache)
  if (known !== undefined) return known
  options.say?.('Downloading Chromium from Debian (about 100 MB, only once)')
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
