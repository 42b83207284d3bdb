const QUARTERS_A_DAY = 96
const BITS = 320n

/** 2^(0/96) … 2^(95/96) as whole numbers, times 2^320. */
const powers = powersOfRoot()

/**
 * The decayed sum of views that `sort=trending` orders by: the sum of 2^(quarter / 96) over all views, times 2^320.
 * Exact to 300 bits.
 * @param history the views of each quarter of an hour, numbered from the epoch.
 */
export function decayedViews(history: Iterable<{ quarter: number; views: number }>): bigint {
  let sum = 0n
  for (const { quarter, views } of history) {
    const day = Math.floor(quarter / QUARTERS_A_DAY)
    sum += (BigInt(views) * (powers[quarter - day * QUARTERS_A_DAY] ?? 0n)) << BigInt(day)
  }
  return sum
}

/** The base-2 logarithm of a result of {@link decayedViews}. */
export function heatOf(decayed: bigint): number {
  const bits = decayed.toString(2).length
  return bits - 1 - Number(BITS) + Math.log2(Number(decayed >> BigInt(bits - 64)) / 2 ** 63)
}

function powersOfRoot(): bigint[] {
  // The greatest whole number whose 96th power is not above 2 × (2^320)^96, found bit by bit.
  const target = 2n << (BITS * BigInt(QUARTERS_A_DAY))
  let root = 1n << BITS
  for (let bit = BITS - 1n; bit >= 0n; bit -= 1n) {
    const greater = root + (1n << bit)
    if (greater ** BigInt(QUARTERS_A_DAY) <= target) root = greater
  }
  const found = [1n << BITS]
  for (let power = 1; power < QUARTERS_A_DAY; power += 1) found.push(((found.at(-1) ?? 0n) * root) >> BITS)
  return found
}
