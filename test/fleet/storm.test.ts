import t, { type Test } from 'tap'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'
import { makeStorm } from '../helpers/storm.ts'

const PROCESSES = 8

for (const [what, loadSeconds, isWarm, pauseSeconds] of [
  ['a fast load', 0.3, true, 1],
  ['a slow load that the fleet does not know yet', 1.5, false, 3.75],
] as const) {
  t.test(
    `a post changes every 50 ms, ${PROCESSES} processes, ${what}: the fleet invalidates at one pace`,
    async (t) => {
      // On a busy machine Redis may miss its deadline. Then each process loads for itself, which other tests cover.
      for (let attempt = 1; ; attempt += 1) {
        const found = await storm(t, { loadSeconds, isWarm, attempt })
        if (found.storeFailures > 0 && attempt < 4) {
          t.comment(`Redis was out of reach ${found.storeFailures} times: once more`)
          continue
        }
        const { replies, changes, elapsedSeconds, durations, invalidations, loads, failed } = found
        t.comment(
          `${replies.length} reads, ${changes} changes, ${JSON.stringify({ ...durations, invalidations, loads })}`,
        )
        t.strictSame(failed, [], `none of ${replies.length} reads failed`)
        // The first change applies at once, and two more before the fleet knows how long a load takes.
        const most = 1 + (isWarm ? 0 : 2) + elapsedSeconds / pauseSeconds
        t.ok(invalidations >= 2 && invalidations <= most, `${invalidations} invalidations, at most ${most.toFixed(1)}`)
        t.ok(loads <= 2 * invalidations + 1, `${loads} loads`)
        return
      }
    },
  )
}

async function storm(t: Test, options: { loadSeconds: number; isWarm: boolean; attempt: number }) {
  const { loadSeconds, isWarm, attempt } = options
  const { url: postgresUrl } = await createTestDatabase(t)
  const prefix = `storm-${process.pid}-${loadSeconds}-${isWarm}-${attempt}`
  const servers = { postgresUrl, redisUrl: await redisUrl(), prefix }
  return makeStorm(t, { ...servers, processes: PROCESSES, loadSeconds, isWarm, seconds: 8 })
}
