import t from 'tap'
import { expectTorture } from '../helpers/torture.ts'

t.test('torture, a single Redis', (t) => expectTorture(t, []))
t.test('torture, failovers, a snapshot that is restored, a clock that is set back', (t) =>
  expectTorture(t, ['--failovers']),
)
