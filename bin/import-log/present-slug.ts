import { decodedSlug } from '../../lib/slug-forms.ts'

/** An earlier slug of a post, and its present one. */
interface Alias {
  slug: string
  present: string
}

/**
 * Creates a function that returns one name for all slugs of a renamed post, in any form (see `slugForms`), and every other slug as it
 * is: who reads the old and the new address of a post is one reader.
 */
export function createPresentSlug(aliases: readonly Alias[]): (slug: string) => string {
  if (aliases.length === 0) return (slug) => slug
  const presentOf = new Map(aliases.map(({ slug, present }) => [plain(slug), plain(present)]))
  const present = new Set(presentOf.values())
  return (slug) => {
    const name = plain(slug)
    return presentOf.get(name) ?? (present.has(name) ? name : slug)
  }
}

function plain(slug: string): string {
  return decodedSlug(slug).normalize('NFC').toLowerCase()
}
