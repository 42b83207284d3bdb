import { type FoundProgram, findDebianProgram } from './find-debian-program.ts'

/** The nginx to test with: of this machine, else Debian's own, unpacked into a cache folder. */
export function findNginx(): Promise<FoundProgram> {
  return findDebianProgram({ name: 'nginx', folder: 'usr/sbin', versionArgs: ['-v'] })
}
