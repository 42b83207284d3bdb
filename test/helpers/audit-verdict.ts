/** What `npm audit --json` has to say, as people want to know it. */
interface AuditVerdict {
  /** 0: nothing is known; 1: something is; 2: it could not be asked. */
  exitCode: 0 | 1 | 2
  sentence: string
}

interface Report {
  vulnerabilities?: Record<string, { severity: string; range: string }>
  metadata?: { dependencies?: { total?: number } }
}

/** Judges the output of `npm audit --json`. A registry that cannot say is not one that says no. */
export function judgeAudit(output: string): AuditVerdict {
  const report = parse(output)
  const { vulnerabilities, metadata } = report
  if (vulnerabilities === undefined || metadata === undefined)
    return { exitCode: 2, sentence: 'Not checked: the registry does not say which packages have weaknesses.' }
  const found = Object.entries(vulnerabilities).map(([name, { severity, range }]) => `  ${name} ${range}: ${severity}`)
  return found.length === 0
    ? { exitCode: 0, sentence: `No known weakness in ${metadata.dependencies?.total ?? 'all'} packages.` }
    : { exitCode: 1, sentence: `Known weaknesses, see npm audit:\n${found.join('\n')}` }
}

function parse(output: string): Report {
  try {
    return JSON.parse(output) as Report
  } catch {
    // npm was not even able to say that it failed.
    return {}
  }
}
