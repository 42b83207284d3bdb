/**
 * A pseudo-random number in [0, 1) that depends only on the words.
 * FNV-1a, then the finalizer of MurmurHash3: without it, words that differ in their last letter have similar numbers.
 */
export function seededRandom(...words: readonly (string | number)[]): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(words.join(' '))) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

/** `count` different items, chosen and ordered by `seed`. */
export function sample(items: readonly string[], count: number, seed: string): string[] {
  return items.toSorted((a, b) => seededRandom(seed, a) - seededRandom(seed, b)).slice(0, count)
}

/** An item chosen by `seed`. */
export function pick(items: readonly string[], seed: string): string {
  return items.reduce((best, item) => (seededRandom(seed, item) > seededRandom(seed, best) ? item : best))
}
