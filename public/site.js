/**
 * Updates the pages of the service: the sidebar, the rank of a post, and on the demo the buttons.
 *
 * @typedef {{
 *   requests: number, queries: number, saved: number, hitRate?: number, loads: number, invalidations: number,
 *   trouble?: string, lastMinute: { requests: number[], queries: number[] },
 * }} Stats as of `GET /demo/stats`
 */

const EVERY_MS = 1_000

const panel = find('.panel')
const LIST = `/posts/popular?days=${panel.dataset['days']}&limit=50`
const lists = /** @type {NodeListOf<import('./popular-posts.js').PopularPosts>} */ (
  document.querySelectorAll('popular-posts')
)
/** The counters of the service when this page was rendered. */
let [loads, invalidations] = [Number(panel.dataset['loads']), Number(panel.dataset['invalidations'])]
/** When the cached list was loaded, in milliseconds since the epoch; NaN without a list. */
let loadedAtMs = Date.now() - Number(panel.dataset['age'] || Number.NaN) * 1000

/** @returns {Promise<Stats>} */
async function readStats() {
  const response = await fetch('/demo/stats')
  if (!response.ok) throw new Error(`expected numbers, got ${response.status}`)
  return response.json()
}

async function update() {
  if (document.visibilityState !== 'visible') return
  try {
    const stats = await readStats()
    if (stats.invalidations !== invalidations) loadedAtMs = Number.NaN
    const hasLoaded = stats.loads !== loads
    ;({ loads, invalidations } = stats)
    show(stats)
    if (hasLoaded) await Promise.all([...[...lists].map((list) => list.refresh()), readList()])
  } catch {
    say(find('.state'), 'The service does not answer.')
  }
}

/** @param {Stats} stats */
function show({ hitRate, saved, lastMinute, trouble }) {
  find('[data-number="hit-rate"]').textContent = hitRate === undefined ? '–' : `${hitRate} %`
  find('[data-number="saved"]').textContent = saved.toLocaleString('en')
  showAge()
  say(find('.state'), trouble ?? '')
  const { requests, queries } = lastMinute
  const most = Math.max(10, ...requests)
  const x = (/** @type {number} */ index) => (index / (requests.length - 1)) * 236 + 2
  const y = (/** @type {number} */ count) => 54 - (Math.min(count, most) / most) * 50
  const line = requests.map((count, index) => `L${x(index).toFixed(1)} ${y(count).toFixed(1)}`).join('')
  find('path.requests').setAttribute('d', `M2 54${line}L238 54`)
  // Makes a single query visible.
  const ticks = queries.map((count, index) =>
    count === 0 ? '' : `M${x(index).toFixed(1)} 54V${(y(count) - 3).toFixed(1)}`,
  )
  find('path.queries').setAttribute('d', ticks.join(''))
  find('[data-requests]').textContent = sum(requests).toLocaleString('en')
  find('[data-queries]').textContent = sum(queries).toLocaleString('en')
}

function showAge() {
  const seconds = Math.max(0, Math.round((Date.now() - loadedAtMs) / 1000))
  const age = seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`
  find('[data-number="age"]').textContent = Number.isNaN(loadedAtMs) ? '–' : age
}

/** Updates the age of the cached list, and the rank of this page's post in it. */
async function readList() {
  const asOf = invalidations
  // Bypasses the browser's cache, whose age is outdated.
  const response = await fetch(LIST, { cache: 'no-cache' })
  if (!response.ok || asOf !== invalidations) return
  loadedAtMs = Date.now() - Number(response.headers.get('age')) * 1000
  showAge()
  const shown = document.querySelector('[data-place]')
  if (!(shown instanceof HTMLElement)) return
  const posts = /** @type {{ slug: string, views: number }[]} */ (await response.json())
  const place = posts.findIndex(({ slug, views }) => slug === shown.dataset['slug'] && views > 0) + 1
  if (place === 0) return
  const before = Number(shown.dataset['place'])
  const moved = before === 0 ? ', up from further down' : before > place ? `, up from ${before}` : ''
  say(shown, `No. ${place} ${panel.dataset['window']}${moved}`)
}

async function send100Requests() {
  const said = find('.panel .said')
  const before = await readStats()
  const answers = await Promise.all(Array.from({ length: 100 }, () => fetch(LIST, { cache: 'no-store' })))
  const { queries } = await readStats()
  const answered = answers.filter(({ ok }) => ok).length
  const asked = queries - before.queries
  say(
    said,
    `${answered} ${answered === 1 ? 'request' : 'requests'} answered, by ${asked === 0 ? 'no query' : asked === 1 ? 'one query' : `${asked} queries`}.`,
  )
}

async function emptyTheCache() {
  const { ok } = await post('/demo/invalidate')
  say(find('.panel .said'), ok ? 'Empty: the next request asks the database.' : 'That was too often: wait a minute.')
}

/** @param {HTMLElement} button */
async function sendReaders(button) {
  const response = await post(`/demo/readers/${encodeURIComponent(button.dataset['readers'] ?? '')}`)
  const said = find('.place .said')
  if (!response.ok) return say(said, 'That was too often: wait a minute.')
  const { readers } = await response.json()
  say(
    said,
    `${readers} made-up ${readers === 1 ? 'reader was' : 'readers were'} here. Each counts once; watch the list.`,
  )
}

/** @param {string} path */
function post(path) {
  return fetch(path, { method: 'POST' })
}

const actions = { requests: send100Requests, invalidate: emptyTheCache }

document.addEventListener('click', async ({ target }) => {
  const button = target instanceof Element ? target.closest('button') : null
  // The `disabled` attribute would remove the focus.
  if (button === null || button.ariaDisabled === 'true') return
  button.ariaDisabled = 'true'
  const name = /** @type {keyof typeof actions | undefined} */ (button.dataset['action'])
  try {
    await (name === undefined ? sendReaders(button) : actions[name]())
  } catch {
    say(find('.state'), 'The service does not answer.')
  }
  button.ariaDisabled = 'false'
  await update()
})

/**
 * Announces a text, also if it equals the previous one.
 * @param {HTMLElement} where
 * @param {string} text
 */
function say(where, text) {
  if (where.textContent !== text) where.textContent = text
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0)
}

/**
 * @param {string} selector
 * @returns {HTMLElement}
 */
function find(selector) {
  const found = document.querySelector(selector)
  if (found === null) throw new Error(`expected ${selector} on the page`)
  return /** @type {HTMLElement} */ (found)
}

document.addEventListener('visibilitychange', update)
setInterval(update, EVERY_MS)
await update()
