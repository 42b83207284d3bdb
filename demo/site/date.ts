import { html } from 'ghtml'

/** A day as people write it, and as programs read it. */
export function dateIn(timeZone: string): (date: Date) => string {
  const format = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeZone })
  return (date) => html`<time datetime="${date.toISOString()}">${format.format(date)}</time>`
}
