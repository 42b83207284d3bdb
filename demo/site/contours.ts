import { html } from 'ghtml'
import { seededRandom } from '../data/seeded-random.ts'

const [WIDTH, HEIGHT] = [320, 200]
const [RINGS, POINTS, STEPS] = [11, 20, 14]

/**
 * A generated picture for a post, which depends only on the slug: the contour lines of a hill, and a path around it.
 */
export function contours(slug: string): string {
  const random = (what: string) => seededRandom(slug, what)
  const summit = { x: WIDTH * (0.3 + 0.4 * random('x')), y: HEIGHT * (0.3 + 0.4 * random('y')) }
  const [first, second] = [random('first') * 6.28, random('second') * 6.28]
  /** A point of a contour line, at a distance from the summit. */
  const at = (angle: number, distance: number): [number, number] => {
    const bulge = 1 + 0.22 * Math.sin(2 * angle + first) + 0.11 * Math.sin(3 * angle + second)
    return [summit.x + 1.35 * distance * bulge * Math.cos(angle), summit.y + distance * bulge * Math.sin(angle)]
  }
  const ring = (radius: number) => closed((index) => at((index / POINTS) * 2 * Math.PI, radius))
  const rings = Array.from({ length: RINGS }, (_none, index) => ring(8 + index * 15 + 4 * random(`ring ${index}`)))
  const from = random('from') * 6.28
  const wayAt = (index: number) => at(from + index * 0.33, 112 - index * 8 + 9 * seededRandom(slug, 'way', index))
  const way = Array.from({ length: STEPS }, (_none, index) => numbers(wayAt(index)))
  const [x, y] = wayAt(STEPS - 1)
  return html`<svg class="contours tone-${Math.floor(5 * random('tone'))}" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
    <path class="hill" d="${rings.join('')}"/><path class="way" d="M${way.join('L')}"/>
    <circle class="end" cx="${Math.round(x)}" cy="${Math.round(y)}" r="4"/>
  </svg>`
}

/** A smooth closed curve along the points. */
function closed(pointAt: (index: number) => [number, number]): string {
  const middleAfter = (index: number): [number, number] => {
    const [[x, y], [nextX, nextY]] = [pointAt(index), pointAt(index + 1)]
    return [(x + nextX) / 2, (y + nextY) / 2]
  }
  const curves = Array.from(
    { length: POINTS },
    (_none, index) => `Q${numbers(pointAt(index))} ${numbers(middleAfter(index))}`,
  )
  return `M${numbers(middleAfter(-1))}${curves.join('')}Z`
}

function numbers([x, y]: readonly [number, number]): string {
  return `${Math.round(x)} ${Math.round(y)}`
}
