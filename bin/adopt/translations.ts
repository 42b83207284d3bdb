import type { Column, Table } from './catalog.ts'
import { findColumn, type Source } from './find-posts.ts'
import { normalized } from './names.ts'
import type { Choices, Question } from './proposal.ts'
import * as roles from './roles.ts'

/** A code of a language, such as `en`, `en_US` or `zh-Hant`. */
const LANGUAGE = /^[a-z]{2,3}(?:[_-][A-Za-z0-9]{2,8})*$/
/** Texts beside a title: they have its languages. */
const TEXTS = [...roles.SLUGS, ...roles.EXCERPTS, ...roles.TEXTS]

/** Makes texts of JSON columns whose keys are languages: `{"en": "Spring", "de": "Frühling"}`. */
export function withTranslations(tables: readonly Table[], language: string | undefined): Table[] {
  return tables.map((table) => {
    const names = [...roles.TITLES, ...roles.TERM_NAMES]
    const title = findColumn(table, names, ['json'])
    const known = title === undefined ? [] : languagesOf(title)
    if (title === undefined || known.length === 0) return table
    const languages = known.toSorted((a, b) => Number(b === language) - Number(a === language))
    const isText = (column: Column) =>
      column.kind === 'json' && (languagesOf(column).length > 0 || TEXTS.includes(normalized(column.name)))
    const columns = table.columns.map((column) =>
      isText(column) ? { ...column, kind: 'text' as const, type: 'text', values: [], languages } : column,
    )
    return { ...table, columns }
  })
}

function languagesOf({ values }: Column): readonly string[] {
  const keys = values.filter((value) => value !== '{}')
  return keys.every((key) => LANGUAGE.test(key)) ? keys : []
}

/** The language that lists show, where titles have several in one column: as the key in JSON, which the user says. */
export function languageOfTexts({ parts }: Source, { language }: Choices): string | Question | undefined {
  const [table] = parts.map((part) => part.table)
  const languages = parts.flatMap((part) => findColumn(part.table, roles.TITLES, ['text'])?.languages ?? [])
  if (languages.length < 2 || language !== undefined)
    return language === undefined || languages.includes(language) ? languages[0] : undefined
  return {
    flag: 'language',
    sentence: `The titles of ${table?.name} have several languages. One of them is in lists, where a post has it:`,
    candidates: languages,
  }
}
