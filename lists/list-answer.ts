import type { Answer } from '../cache/options.ts'
import type { ListBody } from './list-body.ts'
import { DecodedList } from './stored-list.ts'

/** The result of `read`: a list as bytes, with its age and origin for the headers of an HTTP reply. */
export interface ListAnswer {
  /** The list as a JSON array, ready to send. */
  list: ListBody
  /**
   * Where the list came from. `hit`: a fresh list from the cache. `stale`: an expired list. `loaded`: this read loaded the
   * list. `collapsed`: this read waited for the load of another read. `bypass`: no live post has the slug of the filter, so
   * the list is empty, and the cache was not read.
   */
  outcome: Answer['outcome'] | 'bypass'
  /** Seconds since the list was loaded. */
  ageSeconds: number
  /** Seconds until the list is stale; negative when it is stale. */
  ttlSeconds: number
  /** Duration of the read in milliseconds; 0 for a hit from the memory of this process, which is not timed. */
  durationMs: number
  /** Whether Redis does not reply, so that this process uses its own memory instead of the shared cache. */
  isDegraded: boolean
}

/** The answer for a filter by an unknown slug. */
export function emptyAnswer(): ListAnswer {
  return {
    list: new DecodedList(new Uint8Array()).body(),
    outcome: 'bypass',
    ageSeconds: 0,
    ttlSeconds: 0,
    durationMs: 0,
    isDegraded: false,
  }
}
