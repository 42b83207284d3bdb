import { readFileSync, writeFileSync } from 'node:fs'
import { machine } from './machine.ts'

const DOCUMENT = new URL('../docs/numbers.md', import.meta.url)

export type Report = ReturnType<typeof createReport>

/**
 * Writes the results of a bench as Markdown to stdout, beginning with the machine. With `--write` also into
 * docs/numbers.md, between the marks of its name: `<!-- bench:hit -->` and `<!-- /bench:hit -->`.
 */
export function createReport(name: string, { write }: { write: boolean }) {
  const lines: string[] = []

  function say(text: string): void {
    process.stdout.write(`${text}\n`)
    lines.push(text)
  }

  say(`${machine()}.`)
  return {
    say,
    table([head = [], ...rows]: readonly (readonly string[])[]): void {
      const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
      say(['', line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n'))
    },
    /** Writes to stderr, not into the report. */
    progress(text: string): void {
      process.stderr.write(`${text}\n`)
    },
    /** Ends the report, and writes the document with `--write`. */
    end(): void {
      if (!write) return
      const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
      const text = readFileSync(DOCUMENT, 'utf8')
      const [before, rest] = text.split(open)
      const after = rest?.split(close)[1]
      if (before === undefined || after === undefined)
        throw new Error(`Expected ${open} and ${close} in docs/numbers.md.`)
      writeFileSync(
        DOCUMENT,
        `${before}${open}\n\n${lines
          .join('\n')
          .replaceAll(/\n{3,}/g, '\n\n')
          .trim()}\n\n${close}${after}`,
      )
    },
  }
}
