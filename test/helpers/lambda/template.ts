import { RegoEngine, TemplateFile } from '@aws/cloudformation-validate'

/** What AWS' own rules find wrong with a template, offline: `rule path: message`. */
export function findErrors(template: string): string[] {
  const engine = new RegoEngine()
  try {
    const { diagnostics } = engine.validateStandard(new TemplateFile(template), {
      severityLevel: 'ERROR',
      pseudoParameterOverrides: { region: 'eu-central-1' },
    })
    return diagnostics.map(({ ruleId, propertyPath, message }) => `${ruleId} ${propertyPath ?? ''}: ${message}`)
  } finally {
    engine.free()
  }
}
