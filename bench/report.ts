import { readFileSync, writeFileSync } from 'node:fs'
import { machine } from './machine.ts'

const DOCUMENT = new URL('../docs/numbers.md', import.meta.url)

export type Report = ReturnType<typeof createReport>

/**
 * What a bench finds, as Markdown on stdout, beginning with the machine. With `--write`, also in docs/numbers.md,
 * between the marks of its name: `<!-- bench:hit -->` and `<!-- /bench:hit -->`.
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
    /** For whoever waits; no part of the report. */
    progress(text: string): void {
      process.stderr.write(`${text}\n`)
    },
    /** To be called when all has been said. */
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
