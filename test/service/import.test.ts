import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { command, getPosts, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

t.test('an imported log replaces the demo, in a running service and after a restart', async (t) => {
  const directory = await temporaryDirectory(t)
  const env = { DATA_DIR: join(directory, 'data') }
  const log = join(directory, 'access.log')
  const line = (slug: string, address: string) =>
    `${address} - - [17/May/2015:10:05:03 +0000] "GET /blog/${slug} HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:29.0) Gecko/20100101 Firefox/29.0"\n`
  await writeFile(log, line('first', '192.0.2.1') + line('second', '192.0.2.1') + line('first', '192.0.2.2'))
  const slugs = async (address: string) =>
    (await getPosts(address, '?days=0')).map(({ slug, views }) => `${slug} ${views}`)

  const service = await startService(t, env)
  t.equal((await getPosts(service.address)).length, 10)
  const importing = command(t, ['import-log', log, '--post', '/blog/', '--create-posts'], env)
  t.equal(await importing.ended(), 0, importing.stderr())
  t.match(importing.stderr(), 'The demo blog (63 posts) was removed.')
  await until(
    async () => (await slugs(service.address)).join() === 'first 2,second 1',
    'the service shows the imported blog',
  )
  await service.stop()

  const again = await startService(t, env)
  t.match(again.stdout(), /Popular posts of your blog.*\n.*2 posts/)
  t.same(await slugs(again.address), ['first 2', 'second 1'])
})
