import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkOut, runIn } from '../checkout.ts'
import { exampleParameters, type Parameters, writeParameters } from './parameters.ts'
import type { Stack } from './stack-graph.ts'
import { findErrors } from './template.ts'

/** A copy of the project in which stacks are packaged. The template depends on the parameters, not on the code. */
export async function createPacker(t: { teardown(end: () => Promise<void>): unknown }) {
  const directory = await checkOut(t)
  await mkdir(join(directory, 'build', 'lambda'), { recursive: true })
  for (const name of ['lambda.mjs', 'migrate.mjs']) await writeFile(join(directory, 'build', 'lambda', name), '')
  const osls = join(directory, 'node_modules', '.bin', 'osls')
  const file = (name: string) => join(directory, '.serverless', name)

  async function readStack(): Promise<Stack> {
    const read = async (name: string) => JSON.parse(await readFile(file(name), 'utf8'))
    const template = await read('cloudformation-template-update-stack.json')
    const state = await read('serverless-state.json')
    return { template, policy: state.service.provider.stackPolicy }
  }

  return {
    directory,
    osls,
    /** The parameters of the example, filled in. */
    given: await exampleParameters(directory),
    /** Packages with these parameters. Resolves to the stack that a deployment would make. */
    async pack(parameters: Parameters): Promise<Stack> {
      await writeParameters(directory, parameters)
      await runIn(directory, osls, 'package')
      return readStack()
    },
    /** Packages serverless.hosted.yml with these environment variables. */
    async packHosted(variables: Record<string, string>): Promise<Stack> {
      const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
      await runIn(directory, 'env', ...set, osls, 'package', '--config', 'serverless.hosted.yml')
      return readStack()
    },
    /** The errors that the rules of AWS find in the template that was packaged last. */
    errors: () => findErrors(file('cloudformation-template-update-stack.json')),
  }
}
