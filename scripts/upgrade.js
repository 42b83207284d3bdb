// Deploys a new version to a stack that exists, without an outage: `npm run upgrade -- --stage prod`. The new function
// migrate runs before the other functions change: earlier versions read a newer schema, because migrations only add. What is
// piped into this program is the event of migrate.
import { spawnSync } from 'node:child_process'

const STEPS = [['deploy', 'function', '--function', 'migrate'], ['invoke', '--function', 'migrate'], ['deploy']]

for (const step of STEPS) {
  process.stdout.write(`osls ${step.join(' ')}\n`)
  const input = step[0] === 'invoke' ? 'inherit' : 'ignore'
  const { status, error } = spawnSync('osls', [...step, ...process.argv.slice(2)], {
    stdio: [input, 'inherit', 'inherit'],
  })
  if (error !== undefined) process.stderr.write(`osls cannot be run (${error.message}): run npm install.\n`)
  if (status !== 0) process.exit(status ?? 1)
}
