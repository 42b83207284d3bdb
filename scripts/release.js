// `npm publish` runs it first. It fails when package.json lacks the addresses that npm shows.
import { readFileSync } from 'node:fs'

const { homepage, repository, bugs } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const fields = { homepage, 'repository.url': repository.url, 'bugs.url': bugs.url }
for (const [name, value] of Object.entries(fields)) {
  if (/^(?:git\+)?https:\/\/./.test(value)) continue
  process.stderr.write(
    `Expected ${name} in package.json to be an https address, got "${value}": npm pkg set ${name}=…\n`,
  )
  process.exitCode = 1
  break
}
