import { combine, type Expression, isNotTrue, isTrue, ofRef, parseExpression, wrap } from './expression.ts'
import { findRef, type Ref, type Source } from './find-posts.ts'
import { ident, literal, normalized } from './names.ts'
import type { Choices, Question } from './proposal.ts'
import * as roles from './roles.ts'
import { asInstant } from './times.ts'

/** Which rows are posts, and which of them readers see. */
export interface State {
  /** Conditions: the row is a post of this site, and was not deleted. */
  filters: readonly Expression[]
  /** Conditions: the post is published. */
  published: readonly Expression[]
  /** A condition with the present: the post has not expired. */
  expiry: readonly Expression[]
  /** Conditions: the post is not for all readers. */
  isPrivate: readonly Expression[]
}

/** Finds the conditions by the names and the values of columns. */
export function stateOf(source: Source, choices: Choices, zone: string): State | Question {
  const published = publishedOf(source, choices)
  if ('flag' in published) return published
  const found = (names: readonly string[], kinds: Parameters<typeof findRef>[2]) => findRef(source, names, kinds)
  const list = (ref: Ref | undefined, write: (ref: Ref) => Expression) => (ref === undefined ? [] : [write(ref)])
  return {
    published,
    filters: [
      ...typeFilter(source),
      ...keptOf(source),
      ...copies(source),
      ...(choices.where === undefined
        ? []
        : [wrap(parseExpression(choices.where, source), (condition) => `(${condition})`)]),
    ],
    expiry: list(found(roles.EXPIRES, roles.KINDS.clock), (ref) =>
      combine([ofRef(ref), asInstant(ref, zone)], (name, time) => `(${name} is null or ${time} > now())`),
    ),
    isPrivate: [
      ...list(visibilityOf(source), (ref) => wrap(ofRef(ref), (name) => `${name} is distinct from 'public'`)),
      ...list(found(roles.PRIVATE_FLAGS, roles.KINDS.flag), isTrue),
      // Joomla: a level of access, of which the first one is that of all readers.
      ...list(found(['catid'], ['integer']) && found(['access'], ['integer']), (ref) =>
        wrap(ofRef(ref), (name) => `${name} <> 1`),
      ),
      ...list(found(roles.PASSWORDS, roles.KINDS.text), (ref) =>
        wrap(ofRef(ref), (name) => `coalesce(${name}, '') <> ''`),
      ),
    ],
  }
}

/** Conditions: a row of any table of the blog was not deleted. */
export function keptOf(source: Source): Expression[] {
  return [
    ...found(findRef(source, roles.DELETED_AT, roles.KINDS.clock)).map((ref) =>
      wrap(ofRef(ref), (name) => `${name} is null`),
    ),
    ...found(findRef(source, roles.DELETED, roles.KINDS.flag)).map(isNotTrue),
  ]
}

/** Flags that readers see a row, whose values are words: `approved` is `yes`, or `pending`. */
export function wordFlags(source: Source): Expression[] {
  return roles.PUBLISHED_FLAGS.flatMap((flag) => found(findRef(source, [flag], ['text', 'enum']))).flatMap((ref) => {
    const word = wordAmong(roles.TRUE_WORDS, ref.column.values)
    if (word !== undefined) return [wrap(ofRef(ref), (name) => `${name} = ${literal(word)}`)]
    // Nothing is approved yet: the word is not known.
    const words = roles.TRUE_WORDS.map(literal).join(', ')
    return /approved$/.test(normalized(ref.column.name)) ? [wrap(ofRef(ref), (name) => `${name} in (${words})`)] : []
  })
}

function publishedOf(source: Source, choices: Choices): readonly Expression[] | Question {
  if (choices.published === 'always') return []
  if (choices.published !== undefined)
    return [wrap(parseExpression(choices.published, source), (condition) => `(${condition})`)]
  const status = stated(findRef(source, roles.STATUSES, ['text', 'enum', 'integer']))
  const inUse = source.parts.flatMap((part) =>
    found(findRef({ parts: [part], joins: [] }, roles.IN_USE, ['boolean'])).map(isTrue),
  )
  const flags = [
    ...found(findRef(source, roles.PUBLISHED_FLAGS, roles.KINDS.flag)).map(isTrue),
    ...wordFlags(source),
    ...found(findRef(source, roles.DRAFTS, roles.KINDS.flag)).map(isNotTrue),
  ]
  if (status === undefined) return [...flags, ...inUse]
  const word = wordAmong(roles.PUBLISHED_WORDS, status.column.values)
  if (word !== undefined) return [wrap(ofRef(status), (name) => `${name} = ${literal(word)}`), ...flags, ...inUse]
  if (flags.length > 0) return [...flags, ...inUse]
  const { name, values, kind } = status.column
  return {
    flag: 'published',
    sentence: `Cannot tell which values of ${name} readers see:`,
    candidates: [
      ...sorted(values).map((value) => `${ident(name)} = ${kind === 'integer' ? value : literal(value)}`),
      ...(values.length === 0 ? [`${ident(name)} = ${kind === 'integer' ? 1 : "'published'"}`] : []),
      'always',
    ],
  }
}

/** A status, unless its values follow from the dates: then it may be out of date. */
function stated(status: Ref | undefined): Ref | undefined {
  const values = status?.column.values ?? []
  return values.length > 1 && values.every((value) => roles.TIMES.includes(value.toLowerCase())) ? undefined : status
}

/** Values of a status: readers seldom see rows of zero, or below. */
const sorted = (values: readonly string[]) => [
  ...values.filter((value) => !/^(?:0|-.*)$/.test(value)),
  ...values.filter((value) => /^(?:0|-.*)$/.test(value)),
]

/** Conditions: the row is no draft, and no revision, of another one. Where drafts are not in the table, nothing is. */
function copies(source: Source): Expression[] {
  if (findRef(source, roles.COPIES.slice(0, -1), roles.KINDS.id)?.column.isNullable !== true) return []
  return roles.COPIES.flatMap((name) => found(findRef(source, [name], roles.KINDS.id))).map((ref) =>
    wrap(ofRef(ref), (name) => `${name} is null`),
  )
}

/** The value that one of the words has, as it is written there. */
export function wordAmong(words: readonly string[], values: readonly string[]): string | undefined {
  for (const word of words) {
    const value = values.find((each) => each.toLowerCase() === word)
    if (value !== undefined) return value
  }
  return undefined
}

const found = (ref: Ref | undefined): Ref[] => (ref === undefined ? [] : [ref])

/** A table may have posts and pages: only the posts count, if a value of the type says which they are. */
function typeFilter(source: Source): Expression[] {
  return found(findRef(source, roles.TYPES, ['text', 'enum'])).flatMap((ref) => {
    const word = wordAmong(roles.POST_TYPES, ref.column.values)
    return word === undefined ? [] : [wrap(ofRef(ref), (name) => `${name} = ${literal(word)}`)]
  })
}

function visibilityOf(source: Source): Ref | undefined {
  const ref = findRef(source, ['visibility', 'privacy'], ['text', 'enum'])
  return ref?.column.values.includes('public') === true ? ref : undefined
}
