/** The summary of a test run from the output of tap, as in `12 passed, 0 failed, 1 skipped`. */
export function summarize(results: string): string {
  const last = [...results.matchAll(/^# \{ (.*) \}$/gm)].at(-1)?.[1]
  // Without a last line, tap did not end normally.
  if (last === undefined) return '0 passed, 1 failed'
  const count = (name: string) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(last)?.[1] ?? 0)
  const skipped = count('skip') + count('todo')
  return `${count('pass')} passed, ${count('fail')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
