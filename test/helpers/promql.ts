import { parser } from '@prometheus-io/lezer-promql'

/** A selector of one metric in an expression. */
interface Selector {
  name: string
  /** Whether it selects a range of time, as `rate` needs. */
  isRange: boolean
  matchers: { label: string; operator: string; value: string }[]
}

/** Parses an expression of Prometheus. @throws when the syntax is wrong. */
export function readPromql(expression: string): { selectors: Selector[]; functions: string[]; labels: string[] } {
  const read = { selectors: [] as Selector[], functions: [] as string[], labels: [] as string[] }
  const text = ({ from, to }: { from: number; to: number }) => expression.slice(from, to)
  parser.parse(expression).iterate({
    enter(cursor) {
      const { node } = cursor
      if (node.type.isError) throw new Error(`expected an expression, got "${expression}", wrong at ${node.from}`)
      if (node.name === 'FunctionIdentifier') read.functions.push(text(node))
      if (node.name === 'GroupingLabels') read.labels.push(...node.getChildren('LabelName').map(text))
      if (node.name !== 'VectorSelector') return
      const name = node.getChild('Identifier')
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
      read.selectors.push({
        name: name === null ? '' : text(name),
        isRange: node.parent?.name === 'MatrixSelector',
        matchers: matchers.map((matcher) => {
          const [label = '', operator = '', value = '""'] = ['LabelName', 'MatchOp', 'StringLiteral'].map((part) => {
            const child = matcher.getChild(part)
            return child === null ? undefined : text(child)
          })
          return { label, operator, value: JSON.parse(value) as string }
        }),
      })
    },
  })
  return read
}
