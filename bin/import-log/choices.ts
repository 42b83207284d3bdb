import { messageOf } from '../../lib/errors.ts'
import { createLogReader } from './formats/formats.ts'
import { parseHosts } from './hosts.ts'
import { parseBaseUrl } from './paths.ts'
import { compilePostPattern, type PostPattern } from './slug.ts'
import { parseTimeChoice, type TimeChoice } from './times.ts'

/** The flags of `import-log`, as commander reads them. */
export interface Flags {
  post?: string
  createPosts?: boolean
  baseUrl?: string
  format?: string
  host?: string[]
  since?: string
  until?: string
  anyway?: boolean
  dryRun?: boolean
  follow?: boolean
  json?: boolean
  undo?: string
  newDatabase?: boolean
}

/** The checked flags. */
export interface Choices {
  post: PostPattern | undefined
  createPosts: boolean
  baseUrl: string | undefined
  format: string | undefined
  hosts: string[] | undefined
  since: TimeChoice | undefined
  until: TimeChoice | undefined
  anyway: boolean
  isDryRun: boolean
  isFollowing: boolean
  isJson: boolean
  /** The id of the import to undo. */
  undo: string | undefined
  newDatabase: boolean
}

/** @returns the error message, if the flags are wrong. */
export function choose(flags: Flags, paths: readonly string[]): Choices | string {
  const { post, createPosts = false, baseUrl, format, since, until, undo } = flags
  if (undo !== undefined && (paths.length > 0 || flags.dryRun === true))
    return '--undo needs no log and no --dry-run: it takes back what an earlier import counted.'
  if (undo !== undefined && !/^[1-9]\d{0,17}$/.test(undo))
    return `--undo needs the id of an import, such as 3, which its summary shows, got: ${undo}`
  if (flags.follow === true && (paths.length === 0 || paths.includes('-') || flags.dryRun === true))
    return '--follow needs the files that a server writes, such as /var/log/nginx/access.log, not standard input, and no --dry-run.'
  if (createPosts && post === undefined)
    return '--create-posts needs --post, such as --post /blog/: without it every image would become a post.'
  if (baseUrl !== undefined && !createPosts)
    return '--base-url needs --create-posts: it sets the addresses of created posts.'
  try {
    createLogReader(format)
    return {
      format,
      hosts: flags.host === undefined ? undefined : parseHosts(flags.host),
      post: post === undefined ? undefined : compilePostPattern(post),
      createPosts,
      baseUrl: baseUrl === undefined ? undefined : parseBaseUrl(baseUrl),
      since: since === undefined ? undefined : parseTimeChoice('--since', since),
      until: until === undefined ? undefined : parseTimeChoice('--until', until),
      anyway: flags.anyway === true,
      isDryRun: flags.dryRun === true,
      isFollowing: flags.follow === true,
      isJson: flags.json === true,
      undo,
      newDatabase: flags.newDatabase === true,
    }
  } catch (error) {
    return messageOf(error)
  }
}
