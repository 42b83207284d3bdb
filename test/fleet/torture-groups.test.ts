import t from 'tap'
import { expectTorture } from '../helpers/torture.ts'

t.test('torture, failovers by Sentinels', (t) => expectTorture(t, ['--sentinel']))
t.test('torture, a Cluster with failovers, and a slot that moves', (t) =>
  expectTorture(t, ['--cluster', '--failovers']),
)
