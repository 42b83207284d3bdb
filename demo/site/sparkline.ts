import { html } from 'ghtml'

const [WIDTH, HEIGHT] = [120, 28]

/** Counts as a line chart, with a text alternative. */
export function sparkline(counts: readonly number[], what: string): string {
  const most = Math.max(1, ...counts)
  const points = counts.map((count, index) => {
    const x = (index / Math.max(1, counts.length - 1)) * WIDTH
    const y = HEIGHT - 2 - (count / most) * (HEIGHT - 4)
    return `${x.toFixed(1)} ${y.toFixed(1)}`
  })
  const line = `M${points.join('L')}`
  const words = `${what}: ${Number(counts.at(-1)).toLocaleString('en')} today, ${most.toLocaleString('en')} at most`
  return html`<svg class="sparkline" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${words}">
    <path class="area" d="${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z"/><path class="line" d="${line}" vector-effect="non-scaling-stroke"/>
  </svg>`
}
