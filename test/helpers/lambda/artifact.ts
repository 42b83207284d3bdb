import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { inflateRawSync } from 'node:zlib'
import { checkOut, runIn } from '../checkout.ts'
import { writeParameters } from './parameters.ts'

/** Creates the artifact with `npm run package`, and unpacks it as AWS does. */
export async function packageService(t: { teardown(end: () => Promise<void>): unknown }) {
  const directory = await checkOut(t)
  await writeParameters(directory)
  await runIn(directory, 'npm', 'run', 'package')
  const output = join(directory, '.serverless')
  const artifact = await readFile(join(output, 'popular-posts.zip'))
  const taskRoot = join(directory, 'task')
  const files = unzip(artifact)
  for (const [name, content] of files) {
    await mkdir(dirname(join(taskRoot, name)), { recursive: true })
    await writeFile(join(taskRoot, name), content)
  }
  return {
    /** The checkout with the artifact. */
    directory,
    /** The folder of the unpacked artifact. */
    taskRoot,
    files: new Map([...files].map(([name, { byteLength }]) => [name, byteLength])),
    template: join(output, 'cloudformation-template-update-stack.json'),
  }
}

/** The files of a zip archive: see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3. */
function unzip(archive: Buffer): Map<string, Buffer> {
  const end = archive.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const files = new Map<string, Buffer>()
  let at = archive.readUInt32LE(end + 16)
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, size] = [archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 20)]
    const [nameLength, extra, comment] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset))
    const name = archive.toString('utf8', at + 46, at + 46 + Number(nameLength))
    const header = archive.readUInt32LE(at + 42)
    const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28)
    const data = archive.subarray(start, start + size)
    files.set(name, method === 0 ? data : inflateRawSync(data))
    at += 46 + Number(nameLength) + Number(extra) + Number(comment)
  }
  return files
}
