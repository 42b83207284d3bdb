import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/**
 * A plugin of osls. `osls package` names the folder of an upload by the time, so the template differs each time. This
 * plugin names it by the content of the artifact: the same code gives the same package, other code another folder, which
 * AWS requires to deploy it. `osls deploy`, which cleans up and rolls back by that time, is not changed.
 */
export default class UploadByContent {
  /**
   * @param {{
   *   service: { service: string, package: { artifact: string, artifactDirectoryName?: string } },
   *   processedInput: { commands: string[] },
   *   getProvider(name: 'aws'): { getStage(): string, getDeploymentPrefix(): string },
   * }} serverless the fields that this plugin uses
   */
  constructor(serverless) {
    const { service, processedInput } = serverless
    if (processedInput.commands.join(' ') !== 'package') return
    this.hooks = {
      // osls makes a name only where there is none yet.
      'after:package:createDeploymentArtifacts': async () => {
        const provider = serverless.getProvider('aws')
        const hash = createHash('sha256')
          .update(await readFile(service.package.artifact))
          .digest('hex')
        const parts = [provider.getDeploymentPrefix(), service.service, provider.getStage(), hash]
        service.package.artifactDirectoryName = parts.join('/')
      },
    }
  }
}
