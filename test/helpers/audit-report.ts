/** The result of `npm audit --json` as one sentence. */
interface AuditResult {
  /** 0: no known vulnerability; 1: at least one; 2: the audit failed. */
  exitCode: 0 | 1 | 2
  sentence: string
}

interface Report {
  vulnerabilities?: Record<string, { severity: string; range: string }>
  metadata?: { dependencies?: { total?: number } }
}

/** Reads the output of `npm audit --json`. A failed audit is not reported as an audit without findings. */
export function readAuditReport(output: string): AuditResult {
  const report = parse(output)
  const { vulnerabilities, metadata } = report
  if (vulnerabilities === undefined || metadata === undefined)
    return { exitCode: 2, sentence: 'Not checked: the registry did not return a report on vulnerabilities.' }
  const found = Object.entries(vulnerabilities).map(([name, { severity, range }]) => `  ${name} ${range}: ${severity}`)
  return found.length === 0
    ? { exitCode: 0, sentence: `No known vulnerability in ${metadata.dependencies?.total ?? 'all'} packages.` }
    : { exitCode: 1, sentence: `Known vulnerabilities, see npm audit:\n${found.join('\n')}` }
}

function parse(output: string): Report {
  try {
    return JSON.parse(output) as Report
  } catch {
    // npm failed without a report in JSON.
    return {}
  }
}
