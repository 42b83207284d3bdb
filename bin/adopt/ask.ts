import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { StartupError } from '../../lib/errors.ts'
import type { Table } from './catalog.ts'
import { normalized } from './names.ts'
import { type Choices, FLAGS, type Proposal, type Question } from './proposal.ts'
import { propose } from './propose.ts'

/** The most candidates that a question shows. */
const MAX_CANDIDATES = 12

/** Answers a question: with a value of its flag. */
export type Ask = (question: Question) => Promise<string>

/**
 * Proposes until no question is left.
 * @param ask asks the user. Without it, the first question is an error.
 * @throws StartupError that names the candidates and the flag.
 */
export async function settle(tables: readonly Table[], choices: Choices, ask: Ask | undefined): Promise<Proposal> {
  let known = choices
  for (;;) {
    const result = propose(tables, known)
    if (!('flag' in result)) return result
    if (ask === undefined) throw new StartupError(explain(result))
    known = { ...known, [result.flag]: await ask(result) }
  }
}

const flagOf = (question: Question) => `--${normalized(question.flag).replaceAll('_', '-')}`

function explain(question: Question): string {
  const { sentence, candidates } = question
  const shown = candidates.slice(0, MAX_CANDIDATES)
  const more = candidates.length > shown.length ? ` and ${candidates.length - shown.length} more` : ''
  return `${sentence} ${shown.join(', ') || 'none'}${more}. Set ${flagOf(question)}: ${FLAGS[question.flag]}.`
}

/** Asks on a terminal: the answer is a number of the list, or a text. An empty answer is the first candidate. */
export function askOn(input: Readable, output: Writable): { ask: Ask; close(): void } {
  const terminal = createInterface({ input })
  // One reader for all questions: it keeps lines that come before their question.
  const lines = terminal[Symbol.asyncIterator]()
  return {
    async ask(question) {
      const shown = question.candidates.slice(0, MAX_CANDIDATES)
      const list = shown.map((candidate, index) => `  ${index + 1}. ${candidate}\n`).join('')
      output.write(`${question.sentence}\n${list}Number, or ${FLAGS[question.flag]} [1]: `)
      const { value, done } = await lines.next()
      if (done === true) throw new StartupError(`No answer came. Set ${flagOf(question)}.`)
      const answer = value.trim() || '1'
      return shown[Number(answer) - 1] ?? answer
    },
    close: () => terminal.close(),
  }
}
