import t from 'tap'
import { plural } from '../../lib/plural.ts'

t.test('plural writes a number with its noun', async (t) => {
  t.equal(plural(1, 'post'), '1 post')
  t.equal(plural(2000, 'post'), '2,000 posts')
  t.equal(plural(0, 'entry', 'entries'), '0 entries')
})
