// The pictures of servers/README.md name the states that the code has.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ROOT } from '../support/repository.js'

const test = suite('states')

const MACHINES: readonly (readonly [path: string, type: string])[] = [
  ['iod/start-steps.ts', 'export type StartPhase ='],
  ['manager/open-steps.ts', 'export type OpenPhase ='],
  ['manager/cut-steps.ts', 'readonly phase:'],
  ['manager/iod-steps.ts', 'readonly link:'],
]

for (const [path, type] of MACHINES) {
  test(`the states of ${path} are those of its own table and of the pictures`, () => {
    const source = readFileSync(join(ROOT, 'servers', path), 'utf8')
    const states = statesIn(source, type)
    assert.ok(states.length >= 3)
    const head = source.slice(0, source.indexOf('\nimport '))
    const pictures = section(readFileSync(join(ROOT, 'servers/README.md'), 'utf8'))
    for (const state of states) {
      assert.match(head, new RegExp(`^//   ${state}\\b`, 'm'), `${path}: no row for ${state}`)
      assert.match(pictures, new RegExp(`\\b${state}\\b`), `README: no ${state}`)
    }
  })
}

test('each machine is linked', () => {
  const text = section(readFileSync(join(ROOT, 'servers/README.md'), 'utf8'))
  for (const [path] of [...MACHINES, ['iod/control-steps.ts', '']])
    assert.ok(text.includes(`(${path})`), path)
})

// The strings of the first union of literals after `type`.
function statesIn(source: string, type: string): string[] {
  const rest = source.slice(source.indexOf(type) + type.length)
  const union = /^(\s*\|?\s*'\w+')+/.exec(rest)?.[0] ?? ''
  return [...union.matchAll(/'(\w+)'/g)].map(([, state]) => state ?? '')
}

function section(readme: string): string {
  const from = readme.indexOf('## The state machines')
  assert.ok(from >= 0)
  const to = readme.indexOf('\n## ', from + 1)
  return readme.slice(from, to < 0 ? undefined : to)
}

test.run()
