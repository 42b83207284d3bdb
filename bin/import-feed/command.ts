import type { Writable } from 'node:stream'
import { Command } from 'commander'
import type { Kysely, Transaction } from 'kysely'
import { importFeedPosts } from '../../db/feed-posts.ts'
import type { Database } from '../../db/schema.ts'
import { codeOf, messageOf } from '../../lib/errors.ts'
import { parseBaseUrl } from '../import-log/paths.ts'
import { compilePostPattern } from '../import-log/slug.ts'
import type { CollectedPosts } from './collect-posts.ts'
import { formatOutcome } from './format-outcome.ts'

/** The database of the command, and where it writes. */
interface ImportFeedContext {
  /** Opens the migrated database: called once, after the feed was read. The command closes it. */
  openDatabase(): Promise<ImportFeedDatabase>
  stdout: Writable
  /** The present, in milliseconds since the epoch. */
  nowMs(): number
}

interface ImportFeedDatabase {
  db: Kysely<Database>
  /** Called first in the transaction that imports. */
  beforeImport(trx: Transaction<Database>): Promise<void>
  /** The address of the service, by the environment. */
  address: string
  close(): Promise<void>
}

interface Flags {
  post?: string
  baseUrl?: string
}

/**
 * The command `import-feed <source>`. The summary goes to stdout. A wrong argument, and a feed that cannot be read, print
 * one sentence and exit with code 1 (commander's `error`); errors of the database are thrown.
 */
export function importFeedCommand(context: ImportFeedContext): Command {
  const command = new Command('import-feed')
    .description('creates and updates posts from a feed or a sitemap; what has not changed stays as it is')
    .argument('<source>', 'the address, or the file, of an RSS, Atom or JSON feed, or of a sitemap')
    .option(
      '--post <folder, parameter or regexp>',
      "the addresses of posts, as for import-log: a folder such as /blog/, a parameter such as '/?p=', or a regular expression with a group (?<slug>...). A sitemap needs it; without it all entries of a feed are posts",
    )
    .option('--base-url <url>', 'the address of the blog, such as https://blog.example, for relative links in a file')
    .addHelpText(
      'after',
      `
Examples:
  popular-posts import-feed https://blog.example/index.xml
  popular-posts import-feed https://blog.example/sitemap.xml --post /blog/
  popular-posts import-feed public/feed.json --base-url https://blog.example

Run it again after each build of the blog. Posts that a feed does not have any more stay.`,
    )
  return command.action(async (source: string, flags: Flags) => {
    const collected = await collect(source, flags)
    if (typeof collected === 'string') command.error(`error: ${collected}`, { exitCode: 1 })
    else await importPosts(context, collected)
  })
}

/** @returns the posts of the feed, or the error message. */
async function collect(source: string, { post, baseUrl }: Flags): Promise<CollectedPosts | string> {
  try {
    // Only this command needs the optional peer dependency htmlparser2.
    const { collectPosts } = await import('./collect-posts.ts')
    return await collectPosts({
      source,
      post: post === undefined ? undefined : compilePostPattern(post),
      baseUrl: baseUrl === undefined ? undefined : `${parseBaseUrl(baseUrl)}/`,
    })
  } catch (error) {
    return codeOf(error) === 'ERR_MODULE_NOT_FOUND'
      ? 'This command needs a package that is not installed: run npm install htmlparser2.'
      : messageOf(error)
  }
}

async function importPosts(
  { openDatabase, stdout, nowMs }: ImportFeedContext,
  collected: CollectedPosts,
): Promise<void> {
  const { posts } = collected
  const { db, beforeImport, address, close } = await openDatabase()
  try {
    const outcome =
      posts.length === 0 ? undefined : await importFeedPosts(db, posts, { nowMs: nowMs(), before: beforeImport })
    stdout.write(formatOutcome(collected, outcome, address))
  } finally {
    await close()
  }
}
