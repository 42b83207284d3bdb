import t from 'tap'
import { createOriginCheck } from '../../views/allowed-origin.ts'

t.test('views may come from pages of the allowed origins, and of the server itself', async (t) => {
  const isAllowed = createOriginCheck(['https://Blog.example', 'http://localhost:8080', 'https://b.example:443'])
  const host = 'api.example'
  const allowed = [
    { origin: 'https://blog.example' },
    { origin: 'http://localhost:8080' },
    { origin: 'https://b.example' },
    { origin: 'https://api.example', host },
    { referer: 'https://blog.example/a-post?x#y' },
    { referer: 'http://api.example/', host },
  ]
  for (const headers of allowed) t.equal(isAllowed(headers), true, JSON.stringify(headers))
  const refused = [
    {},
    { host },
    { origin: '' },
    { origin: 'null', referer: 'https://blog.example/' },
    { origin: 'https://evil.example', referer: 'https://blog.example/' },
    { origin: 'http://blog.example' },
    { origin: 'https://blog.example:8443' },
    { origin: 'https://blog.example.evil.example' },
    { origin: 'https://evil.example/https://blog.example' },
    { referer: 'https://evil.example/?https://blog.example' },
    { referer: 'about:blank' },
  ]
  for (const headers of refused) t.equal(isAllowed(headers), false, JSON.stringify(headers))
  t.equal(createOriginCheck([])({}), true)
})
