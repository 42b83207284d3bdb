import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'

/** The parameters of a stage. */
export type Parameters = Record<string, string>

/** The parameters that a user must fill in. */
const FILLED_IN: Parameters = {
  vpcId: 'vpc-0123abcd',
  subnetA: 'subnet-0123abcd',
  subnetB: 'subnet-0123abce',
}

/** The parameters of the example, filled in. */
export async function exampleParameters(directory: string): Promise<Parameters> {
  const example = await readFile(join(directory, 'aws', 'parameters', 'example.yml'), 'utf8')
  return { ...(parse(example) as Parameters), ...FILLED_IN }
}

/** Writes the parameters of the stage `dev` in a checkout. Default: the example, filled in. */
export async function writeParameters(directory: string, parameters?: Parameters): Promise<void> {
  const file = join(directory, 'aws', 'parameters', 'dev.yml')
  await writeFile(file, stringify(parameters ?? (await exampleParameters(directory))))
}
