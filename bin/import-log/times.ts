/** A time with its zone, or a day. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/

/** The value of `--since` or `--until`: milliseconds since the epoch, or a day `YYYY-MM-DD` of the site's time zone. */
export type TimeChoice = number | string

/** @throws an error for the user, if the text is neither, or there is no such day. */
export function parseTimeChoice(option: string, text: string): TimeChoice {
  const [, day] = TIME.exec(text) ?? []
  const timeMs = Date.parse(text)
  // Date.parse accepts February 30.
  if (day === undefined || Number.isNaN(timeMs) || new Date(Date.parse(day)).toISOString().slice(0, 10) !== day)
    throw new Error(
      `${option} needs a day such as 2015-05-17, or a time with its zone such as 2015-05-17T10:05:03Z, got: ${text}`,
    )
  return text === day ? day : timeMs
}
