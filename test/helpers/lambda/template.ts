import { RegoEngine, TemplateFile } from '@aws/cloudformation-validate'

/** Shared, because compiling the rules takes 3 s of CPU; validating a template then takes 0.03 s. */
const engine = new RegoEngine()

/** Validates a template offline with the rules of AWS. Returns errors as `rule path: message`. */
export function findErrors(template: string): string[] {
  const { diagnostics } = engine.validateStandard(new TemplateFile(template), {
    severityLevel: 'ERROR',
    pseudoParameterOverrides: { region: 'eu-central-1' },
  })
  return diagnostics.map(({ ruleId, propertyPath, message }) => `${ruleId} ${propertyPath ?? ''}: ${message}`)
}
