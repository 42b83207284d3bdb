/** Names of tables and columns: their words, their nouns, and how SQL writes them. */

/** A name in one form: `publishedAt`, `PublishedAt` and `_published_at` are `published_at`. */
export function normalized(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
}

/** Words that end with s, or have no s, in both forms. */
const IRREGULAR: Readonly<Record<string, string>> = { people: 'person', news: 'news', series: 'series' }

/** The singular of an English noun, as names of tables use it: `stories` is `story`. */
export function singular(word: string): string {
  return IRREGULAR[word] ?? word.replace(/ies$/, 'y').replace(/(?<![su])s$/, '')
}

/** The words of a name, each in the singular: `blog_posts` is `blog`, `post`. */
export function wordsOf(name: string): string[] {
  return normalized(name).split('_').map(singular)
}

/** The last word of a name in the singular: what a row of the table is. */
export function nounOf(name: string): string {
  return wordsOf(name).at(-1) as string
}

/** The name of a column without the first word of its table: `decidim_author_id` of `decidim_blogs_posts`. */
export function withoutApp(table: string, column: string): string {
  const [app] = normalized(table).split('_')
  const own = normalized(column)
  return own.startsWith(`${app}_`) ? own.slice(`${app}_`.length) : own
}

/** Whether a row of a table is one of these things. Django writes words together: `blogpost` is a `post`. */
export function isOneOf(name: string, nouns: readonly string[]): boolean {
  const noun = nounOf(name)
  return nouns.some((each) => noun.endsWith(each))
}

/** Words that PostgreSQL accepts as a name only in quotes, and that blogs use as one. */
const RESERVED = new Set(
  'all,analyse,analyze,and,any,array,as,asc,both,case,cast,check,collate,column,constraint,create,default,desc,distinct,do,else,end,except,false,fetch,for,foreign,from,grant,group,having,in,into,leading,limit,not,null,offset,on,only,or,order,placing,primary,references,returning,select,some,table,then,to,trailing,true,union,unique,user,using,when,where,window,with'.split(
    ',',
  ),
)

/** A name as SQL writes it: in quotes, if it needs them. */
export function ident(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** A text as SQL writes it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
