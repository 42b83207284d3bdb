import { html } from 'ghtml'

/** A sentence on what is not as it should be. */
export function notice(sentence: string): string {
  return html`<p class="notice" role="status">${sentence}</p>`
}
