/** The fields of a row of an export, by column in lower case. */
export type Fields = Record<string, string>

/** Turns the values of a JSON file into rows. It knows the documents that the APIs of other counters return. */
export function createUnfolder(): (value: unknown) => Fields[] {
  // Koko Analytics: the columns of the table whose rows follow, and the paths by their ids.
  let table: { name: string; columns: string[] } | undefined
  const paths = new Map<string, string>()

  function kokoRows(rows: readonly unknown[], { name, columns }: { name: string; columns: string[] }): Fields[] {
    const all = rows.map((row) =>
      fieldsOf(Object.fromEntries(columns.map((column, index) => [column, arrayOf(row)[index]]))),
    )
    if (name.endsWith('_paths')) for (const { id = '', path = '' } of all) paths.set(id, path)
    if (!name.endsWith('_post_stats')) return []
    return all.map((row) => ({ ...row, path: paths.get(`${row['path_id']}`) ?? '' }))
  }

  return (value) => {
    if (Array.isArray(value)) return table === undefined ? [] : kokoRows(value, table)
    const document = objectOf(value)
    if (typeof document['table'] === 'string' && Array.isArray(document['columns'])) {
      table = { name: document['table'], columns: document['columns'].map(String) }
      return []
    }
    return rowsOf(document)
  }
}

function rowsOf(document: Record<string, unknown>): Fields[] {
  const { data, results, rows, payload } = document
  // GoAccess.
  const requests = objectOf(document['requests'])['data']
  if (Array.isArray(requests))
    return requests.map(objectOf).map((row) => fieldsOf({ ...row, hits: objectOf(row['hits'])['count'] }))
  // Cloudflare.
  const { viewer } = objectOf(data)
  if (viewer !== undefined) return groupsOf(viewer)
  // The Data API of Google Analytics.
  if (Array.isArray(rows) && Array.isArray(document['dimensionHeaders'])) return analyticsRows(document, rows)
  // Tinybird, which counts for Ghost.
  if (Array.isArray(data)) return data.map(fieldsOf)
  if (Array.isArray(results)) return plausibleRows(document, results)
  // Matomo: rows by day.
  const days = Object.entries(document)
  if (days.length > 0 && days.every(([day, list]) => /^\d{4}-\d\d-\d\d$/.test(day) && Array.isArray(list)))
    return days.flatMap(([date, list]) => arrayOf(list).map((row) => ({ ...fieldsOf(row), date })))
  // Events of Ghost.
  if (payload !== undefined) return [{ ...fieldsOf(payloadOf(payload)), ...fieldsOf(document) }]
  return [fieldsOf(document)]
}

/** The groups of a reply of Cloudflare, wherever they are in it. */
function groupsOf(value: unknown): Fields[] {
  if (Array.isArray(value)) return value.flatMap(groupsOf)
  const group = objectOf(value)
  if (typeof group['dimensions'] !== 'object') return Object.values(group).flatMap(groupsOf)
  return [{ ...fieldsOf(group['dimensions']), ...fieldsOf(group) }]
}

function analyticsRows(document: Record<string, unknown>, rows: readonly unknown[]): Fields[] {
  const names = ['dimensionHeaders', 'metricHeaders'].flatMap((key) =>
    arrayOf(document[key]).map((header) => String(objectOf(header)['name'])),
  )
  return rows.map(objectOf).map((row) => {
    const values = ['dimensionValues', 'metricValues'].flatMap((key) =>
      arrayOf(row[key]).map((cell) => objectOf(cell)['value']),
    )
    return fieldsOf(Object.fromEntries(names.map((name, index) => [name, values[index]])))
  })
}

/** Rows of Plausible's API: objects in version 1; in version 2 lists, whose names are in the query. */
function plausibleRows(document: Record<string, unknown>, results: readonly unknown[]): Fields[] {
  const query = objectOf(document['query'])
  const names = [...arrayOf(query['dimensions']), ...arrayOf(query['metrics'])].map((name) =>
    String(name)
      .replace(/^event:/, '')
      .replace(/^time:.*|^time$/, 'date'),
  )
  return results.map(objectOf).map((row) => {
    const values = [...arrayOf(row['dimensions']), ...arrayOf(row['metrics'])]
    return { ...fieldsOf(row), ...fieldsOf(Object.fromEntries(names.map((name, index) => [name, values[index]]))) }
  })
}

function payloadOf(payload: unknown): unknown {
  if (typeof payload !== 'string') return payload
  try {
    return JSON.parse(payload)
  } catch {
    return {}
  }
}

function fieldsOf(value: unknown): Fields {
  const fields = Object.entries(objectOf(value)).map(([name, field]) => [name.trim().toLowerCase(), textOf(field)])
  return Object.fromEntries(fields) as Fields
}

function textOf(value: unknown): string {
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : ''
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
