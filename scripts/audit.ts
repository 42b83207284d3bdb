// npm run audit: reports known vulnerabilities of the dependencies.
import { spawnSync } from 'node:child_process'
import { readAuditReport } from '../test/helpers/audit-report.ts'

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8', timeout: 60_000 })
const { exitCode, sentence } = readAuditReport(stdout)
process.stdout.write(`${sentence}\n`)
process.exitCode = exitCode
