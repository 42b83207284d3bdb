import t from 'tap'
import { Type as Original } from 'typebox'
import { Type } from '../../bundle/typebox.ts'

t.test('the schemas of the bundle are those that typebox makes, to the order of their keys', async (t) => {
  type Make = (type: typeof Original) => unknown
  const makes: Make[] = [
    (T) => T.String(),
    (T) => T.String({ description: 'd', format: 'f' }),
    (T) => T.Integer({ minimum: 1, default: 2 }),
    (T) => T.Number(),
    (T) => T.Boolean({ default: true }),
    (T) => T.Null(),
    (T) => T.Unknown({ description: 'd' }),
    (T) => T.Literal('a', { title: 't' }),
    (T) => T.Literal(3),
    (T) => T.Enum(['a', 'b'], { type: 'string', default: 'a' }),
    (T) => T.Union([T.String(), T.Null()], { description: 'd' }),
    (T) => T.Array(T.Integer(), { maxItems: 3 }),
    (T) => T.Object({}),
    (T) => T.Object({ a: T.String(), b: T.Optional(T.Integer({ minimum: 1 })) }, { additionalProperties: false }),
    (T) => T.Object({ a: T.Optional(T.Union([T.Null(), T.Object({ mode: T.Optional(T.String()) })])) }),
    (T) => T.Optional(T.Array(T.String())),
  ]
  for (const make of makes)
    t.equal(JSON.stringify(make(Type as unknown as typeof Original)), JSON.stringify(make(Original)), String(make))
})
