import type { Alias } from '../../db/posts-by-slug.ts'
import { decodedSlug } from '../../lib/slug-forms.ts'

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
