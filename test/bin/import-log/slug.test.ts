import fc from 'fast-check'
import t from 'tap'
import { addressOf, parseBaseUrl, pathOf, urlOfPath } from '../../../bin/import-log/paths.ts'
import { compilePostPattern, requestedPost } from '../../../bin/import-log/slug.ts'

t.test('the path of a target is decoded, without query, fragment and origin', async (t) => {
  const cases = {
    '/a': '/a',
    '/a?b=/c#d': '/a',
    '/a#b?c': '/a',
    '/a%20b': '/a b',
    '/%D0%96': '/Ж',
    '/a%3Fb': '/a?b',
    '/a%2Fb': '/a/b',
    '/a%zz%20': '/a%zz%20',
    '/a%ff': '/a%ff',
    '/a%': '/a%',
    'http://example.com/a?b': '/a',
    'HTTPS://user@example.com:8080/a': '/a',
    'http://example.com': '',
    'http://example.com?a/b': '',
    '//example.com/a': '//example.com/a',
    '/a/http://b/c': '/a/http://b/c',
    '*': '*',
  }
  for (const [target, path] of Object.entries(cases)) t.equal(pathOf(target), path, target)
})

t.test('without a pattern the slug is the last part of the path, without .html', async (t) => {
  const cases = {
    '/blog/hello-world.html': 'hello-world',
    '/blog/hello-world': 'hello-world',
    '/blog/hello-world/': 'hello-world',
    '/blog/hello-world.html//?a': 'hello-world',
    '/blog/hello-world/index.html': 'hello-world',
    '/blog/an-index.html': 'an-index',
    '/index.html': undefined,
    '/blog/hello.world': 'hello.world',
    '/a.html.html': 'a.html',
    a: 'a',
    '/': undefined,
    '': undefined,
    '///': undefined,
    '/.html': undefined,
  }
  for (const [target, slug] of Object.entries(cases)) t.equal(requestedPost(target)?.slug, slug, target)
})

t.test('a pattern is tested on the decoded path, and its group names the post', async (t) => {
  const pattern = compilePostPattern('^/blog/(?:[^/]+/)*(?<slug>[^/]+)\\.html$')
  t.strictSame(requestedPost('/blog/geekery/xvfb%20firefox.html?x', pattern), {
    slug: 'xvfb firefox',
    path: '/blog/geekery/xvfb firefox.html',
    query: '',
  })
  t.equal(requestedPost('/blog/geekery/', pattern), undefined)
  t.equal(requestedPost('/a', compilePostPattern('/(?<slug>b)?')), undefined, 'the group took no part')
  t.equal(requestedPost('/', compilePostPattern('/(?<slug>.*)')), undefined, 'the slug is empty')
})

t.test('a parameter of the query string names the post', async (t) => {
  const slugs = (post: string, targets: Record<string, string | undefined>) => {
    const pattern = compilePostPattern(post)
    for (const [target, slug] of Object.entries(targets))
      t.equal(requestedPost(target, pattern)?.slug, slug, `${post} of ${target}`)
  }
  const ofWordPress = {
    '/?p=123': '123',
    '/index.php?p=123&utm_source=x': '123',
    '/?utm_source=x&p=123#comments': '123',
    '/?p=a%20b': 'a b',
    '/?%70=1': '1',
    '/?p=caf%C3%A9': 'café',
    '//?p=1': '1',
    'https://blog.example?p=1': '1',
    'https://blog.example:443/?p=1': '1',
    '/': undefined,
    '/?': undefined,
    '/?p': undefined,
    '/?p=': undefined,
    '/?page_id=2': undefined,
    '/?xp=2&P=3': undefined,
    '/#?p=1': undefined,
    '/wp-login.php?p=1': undefined,
    '/a/?p=1': undefined,
    '/?feed=rss2&p=1': undefined,
    '/?p=1&preview=true': undefined,
    '/?p=1&embed=true': undefined,
    '/?p=1&p=2': '2',
    '/?p=1&p=': undefined,
    '/?p[]=1': undefined,
    '/?p=0': undefined,
    '/?p=000': undefined,
    '/?p=007': '7',
    '/?p=1%20': '1',
    '/?p=+1+': '1',
    '/?p=%20': undefined,
    '/?p=0x7': '0x7',
    '/?p=-1': '-1',
    '/?p=1.0': '1.0',
    '/?p=1?fbclid=x': '1',
    '/?a=1&amp;p=2': undefined,
    '/?a=1;p=2': undefined,
    '/?a=1&p=2&b=3': '2',
    '/?&&p=1&': '1',
    '/?p=1&page=2': '1',
    '/?p=%zz': '%zz',
    '/?p=%00': '\0',
    'HTTP://user@Blog.Example./index.php?p=1#a?p=2': '1',
    'http://[2001:db8::1]:80?p=1': '1',
    '/?p=99999999999999999999999': '99999999999999999999999',
    [`/?p=${'0'.repeat(60_000)}1`]: '1',
    [`/?p=${' '.repeat(60_000)}x${' '.repeat(60_000)}`.replaceAll(' ', '+')]: 'x',
    [`/?x=${'a'.repeat(60_000)}&p=1`]: '1',
  }
  slugs('/?p=', ofWordPress)
  slugs('?p=', ofWordPress)
  for (const name of ['id', 'post', 'page_id', 'article-id']) slugs(`/?${name}=`, { [`/?x=1&${name}=7`]: '7' })
  slugs('/blog?p=', { '/blog?p=1': '1', '/blog/?p=1': '1', '/blog/index.php?p=1': '1', '/?p=1': undefined })
  slugs('/post.php?id=', { '/post.php?id=1': '1', '/?id=1': undefined })
  slugs('/bl%C3%B6g/?p=', { '/bl%c3%b6g/?p=1': '1', '/blög/?p=1': '1' })
  t.strictSame(requestedPost('/index.php?x=1&p=a%26b', compilePostPattern('/?p=')), {
    slug: 'a&b',
    path: '/',
    query: '?p=a%26b',
  })
})

t.test('a path over 4 kB names no post, and no pattern is run on it', async (t) => {
  t.ok(requestedPost(`/${'a'.repeat(4095)}`))
  t.notOk(requestedPost(`/${'a'.repeat(4096)}`))
  t.ok(requestedPost(`/a?${'b'.repeat(60_000)}`), 'a long query is no matter')
})

t.test('a wrong pattern is refused in one sentence', async (t) => {
  t.throws(() => compilePostPattern('(?<slug>'), {
    message: '--post is neither a folder, such as /blog/, nor a regular expression: (?<slug>',
  })
  const missing = {
    message: /^--post needs a folder, such as \/blog\/, a parameter .*, or a group named slug, .*, got: \S+$/,
  }
  t.throws(() => compilePostPattern('^/blog/(.*)'), missing)
  t.throws(() => compilePostPattern('(?<Slug>.*)'), missing)
  t.throws(() => compilePostPattern(String.raw`\(?<slug>`), missing)
  t.ok(compilePostPattern('^/a/(?<slug>x)|^/b/(?:y)'), 'the group may be in one alternative')
})

t.test('a base URL is an address of a site, of http or https, without a query', async (t) => {
  t.equal(parseBaseUrl('https://blog.example'), 'https://blog.example')
  t.equal(parseBaseUrl('HTTP://Blog.Example:8080/site//'), 'http://blog.example:8080/site')
  for (const wrong of [
    'blog.example',
    '/blog/',
    'ftp://a',
    'javascript:x',
    'https://a/?b',
    'https://a/#b',
    'https://u:p@a',
  ])
    t.throws(() => parseBaseUrl(wrong), {
      message: `--base-url needs the address of the blog, such as https://blog.example, got: ${wrong}`,
    })
})

t.test('the address of a service that listens on all addresses is one of this machine', async (t) => {
  const cases = {
    '127.0.0.1': '127.0.0.1',
    '0.0.0.0': '127.0.0.1',
    '::': '127.0.0.1',
    '::1': '[::1]',
    'a.example': 'a.example',
  }
  for (const [host, name] of Object.entries(cases)) t.equal(addressOf({ host, port: 80 }), `http://${name}:80`)
})

t.test('any path gives a URL of this site that leads back to the path', async (t) => {
  t.equal(urlOfPath('/blog/a b?#%é.html'), '/blog/a%20b%3F%23%25%C3%A9.html')
  t.equal(urlOfPath('//evil.example/a'), '/evil.example/a')
  t.equal(urlOfPath('/\\evil.example'), '/%5Cevil.example')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const url = urlOfPath(text)
      t.equal(decodeURIComponent(url), `/${text.replace(/^\/+/, '')}`)
      t.match(url, /^\/(?!\/)[\w!'()*.~%/-]*$/)
    }),
  )
})
