import { readFileSync } from 'node:fs'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ts } from '@ts-morph/common'
import t from 'tap'
import { runIn } from './helpers/checkout.ts'
import { packPackage } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Names that only this package may use: they return secrets, or end services that the app still needs. */
const INTERNAL = ['adminToken', 'close', 'idle', 'resume', 'settings', 'settle', 'thaw']

const directory = await temporaryDirectory(t)
await runIn(directory, 'tar', '-xzf', await packPackage(t))
const folder = join(directory, 'package')
await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { types: string }>
}
const entries = Object.values(exports).flatMap((entry) =>
  typeof entry === 'string' ? [] : [join(folder, entry.types)],
)
const program = ts.createProgram(entries, {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  types: ['node'],
  strict: true,
  noEmit: true,
})
const checker = program.getTypeChecker()

const isOurs = (node: ts.Node) => {
  const { fileName } = node.getSourceFile()
  return fileName.startsWith(folder) && !fileName.includes('node_modules')
}

/** The original symbol of an alias. */
const resolved = (symbol: ts.Symbol) =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

const isDocumented = (node: ts.Node) => ts.getJSDocCommentsAndTags(node).length > 0

/** The declarations in this package of these symbols, and of all types that they refer to. */
function reachable(symbols: readonly ts.Symbol[]): Set<ts.Declaration> {
  const found = new Set<ts.Declaration>()
  const add = (symbol: ts.Symbol | undefined) => {
    for (const declaration of symbol === undefined ? [] : (resolved(symbol).declarations ?? [])) {
      if (found.has(declaration) || !isOurs(declaration) || ts.isTypeParameterDeclaration(declaration)) continue
      found.add(declaration)
      visit(declaration)
    }
  }
  const visit = (node: ts.Node) => {
    if (ts.isTypeReferenceNode(node)) add(checker.getSymbolAtLocation(node.typeName))
    if (ts.isExpressionWithTypeArguments(node)) add(checker.getSymbolAtLocation(node.expression))
    if (ts.isTypeQueryNode(node)) add(checker.getSymbolAtLocation(node.exprName))
    if (ts.isImportTypeNode(node) && node.qualifier) add(checker.getSymbolAtLocation(node.qualifier))
    ts.forEachChild(node, visit)
  }
  for (const symbol of symbols) add(symbol)
  return found
}

/** The exports of an entry, without `module.exports`, which has the other exports as its members. */
function exportsOf(entry: ts.SourceFile): ts.Symbol[] {
  const module = checker.getSymbolAtLocation(entry)
  return (module === undefined ? [] : checker.getExportsOfModule(module)).filter(
    ({ name }) => name !== 'module.exports',
  )
}

/** The members that this package adds to the app of a host. */
function decorators(): ts.Symbol[] {
  const found: ts.Symbol[] = []
  for (const file of program.getSourceFiles().filter(isOurs))
    for (const module of file.statements) {
      if (!ts.isModuleDeclaration(module) || module.name.text !== 'fastify') continue
      for (const augmented of module.body && ts.isModuleBlock(module.body) ? module.body.statements : []) {
        if (!ts.isInterfaceDeclaration(augmented) || augmented.name.text !== 'FastifyInstance') continue
        for (const { name } of augmented.members) {
          const symbol = name && checker.getSymbolAtLocation(name)
          if (symbol !== undefined) found.push(symbol)
        }
      }
    }
  return found
}

/**
 * The parts of a declaration for which an editor shows docstrings. Parameters of functions (documented by `@param`),
 * variants of a union (documented by the union) and patterns of conditional types are left out.
 */
function membersOf(node: ts.Node, path: string): { name: string; isDocumented: boolean }[] {
  if (ts.isParameter(node) || ts.isTypeParameterDeclaration(node)) return []
  if (ts.isConditionalTypeNode(node)) return [node.trueType, node.falseType].flatMap((type) => membersOf(type, path))
  // A nullable object counts as an object.
  if (ts.isUnionTypeNode(node) && node.types.filter(ts.isTypeLiteralNode).length > 1) return []
  if (!ts.isClassElement(node) && !ts.isTypeElement(node)) return childrenOf(node, path)
  if (node.name && ts.isPrivateIdentifier(node.name)) return []
  const name = `${path}.${node.name?.getText() ?? ts.SyntaxKind[node.kind]}`
  return [{ name, isDocumented: isDocumented(node) }, ...childrenOf(node, name)]
}

function childrenOf(node: ts.Node, path: string): { name: string; isDocumented: boolean }[] {
  const members: { name: string; isDocumented: boolean }[] = []
  ts.forEachChild(node, (child) => void members.push(...membersOf(child, path)))
  return members
}

t.test('every public declaration has a docstring, and so has each of its members', async (t) => {
  t.equal(entries.length, 4, 'the package, its cache, its metrics, and OpenTelemetry')
  for (const path of entries) {
    const entry = program.getSourceFile(path)
    if (entry === undefined) throw new Error(`expected the declarations ${path}, got no such file`)
    const declarations = reachable([...exportsOf(entry), ...decorators()])
    t.ok(declarations.size > 0, `${path.slice(folder.length)}: ${declarations.size} declarations`)
    const bare: string[] = []
    for (const node of declarations) {
      const name = ts.getNameOfDeclaration(node)?.getText() ?? '?'
      const place = `${node.getSourceFile().fileName.slice(folder.length)}: ${name}`
      // The docstring of a constant is that of its statement.
      const documented = ts.isVariableDeclaration(node) ? node.parent.parent : node
      // `export { a as b }` and `export default a` are documented at their target.
      if (!ts.isExportSpecifier(node) && !ts.isExportAssignment(node) && !isDocumented(documented)) bare.push(place)
      for (const member of childrenOf(node, name)) if (!member.isDocumented) bare.push(`${place} -> ${member.name}`)
    }
    t.same(bare, [], `${path.slice(folder.length)}: declarations without a docstring`)
  }
})

t.test('a host reaches two members of the app, and nothing internal through them', async (t) => {
  const members = decorators()
  t.same(members.map(({ name }) => name).sort(), ['popularPosts', 'postViews'])
  const names = [...reachable(members)].flatMap((node) => childrenOf(node, '').map(({ name }) => name))
  const reaches = (member: string) => names.some((name) => name.endsWith(`.${member}`))
  for (const name of ['get', 'record', 'outcome', 'flush', 'etag']) t.ok(reaches(name), `${name} is reached`)
  for (const name of INTERNAL) t.notOk(reaches(name), `${name} is not reached`)
})
