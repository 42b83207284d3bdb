import { type Calendar, isPublished, publishedAtMs } from './calendar.ts'
import { seededRandom, pick, sample } from './seeded-random.ts'
import { demoHeldRemarks, demoReaders, demoRemarks } from './content.ts'
import type { DemoPost } from './posts.ts'

/** The fraction of comments that wait for approval. */
const HELD = 1 / 9

interface DemoComment {
  author: string
  body: string
  isApproved: boolean
  createdAt: Date
}

/** The comments of a demo post: most of them soon after publication, more with more readers; none if it is not live. */
export function demoComments(post: DemoPost, calendar: Calendar): DemoComment[] {
  if (!isPublished(post)) return []
  const { slug, audience = {} } = post
  const crowd = (audience.spike === undefined ? 0 : 6) + (audience.steady === undefined ? 0 : 2)
  const count = Math.floor(6 * seededRandom(slug, 'comments') ** 2) + crowd
  const publishedMs = publishedAtMs(post, calendar)
  return sample(demoRemarks, count, slug).map((remark) => {
    const seed = `${slug} ${remark}`
    const isApproved = seededRandom(seed, 'approved') >= HELD
    const afterMs = (calendar.nowMs - publishedMs) * seededRandom(seed, 'created') ** 3
    return {
      author: pick(demoReaders, seed),
      body: isApproved ? remark : pick(demoHeldRemarks, seed),
      isApproved,
      createdAt: new Date(publishedMs + Math.floor(afterMs)),
    }
  })
}
