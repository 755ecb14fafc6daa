import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  beginOpen,
  isTold,
  type OpenEffect,
  type OpenEvent,
  type OpenPhase,
  type OpenProgress,
  resumeOpen,
  stepOpen,
} from '../../servers/manager/open-steps.js'

const test = suite('open-steps')

const at = (
  phase: OpenPhase,
  waiting: readonly number[] = [],
  options: { readonly failed?: boolean } = {},
): OpenProgress => ({ phase, iods: [0, 2], waiting, failed: options.failed ?? false })

interface Row {
  readonly promise: string
  readonly from: OpenProgress
  readonly event: OpenEvent
  readonly to: OpenProgress
  readonly effects: readonly OpenEffect[]
}

const TELL: readonly OpenEffect[] = [
  { kind: 'tell', iod: 0 },
  { kind: 'tell', iod: 2 },
]
const WITHDRAW: readonly OpenEffect[] = [
  { kind: 'withdraw', iod: 0 },
  { kind: 'withdraw', iod: 2 },
]
const END: readonly OpenEffect[] = [
  { kind: 'end', iod: 0 },
  { kind: 'end', iod: 2 },
]

const ROWS: readonly Row[] = [
  {
    promise: 'no iod hears of an open before its record is durable',
    from: at('recording'),
    event: { kind: 'recorded' },
    to: at('telling', [0, 2]),
    effects: TELL,
  },
  {
    promise: 'an open that cannot be recorded is undone',
    from: at('recording'),
    event: { kind: 'unrecorded' },
    to: at('undoing', [], { failed: true }),
    effects: [{ kind: 'erase' }],
  },
  {
    promise: 'all iods are awaited',
    from: at('telling', [0, 2]),
    event: { kind: 'told', iod: 2 },
    to: at('telling', [0]),
    effects: [],
  },
  {
    promise: 'an open becomes visible when every iod knows it',
    from: at('telling', [0]),
    event: { kind: 'told', iod: 0 },
    to: at('finishing'),
    effects: [{ kind: 'finish' }],
  },
  {
    promise: 'a failure is acted upon when no OPEN is under way any more',
    from: at('telling', [0, 2]),
    event: { kind: 'untold', iod: 0 },
    to: at('telling', [2], { failed: true }),
    effects: [],
  },
  {
    promise: 'one iod that could not be told undoes the open',
    from: at('telling', [2], { failed: true }),
    event: { kind: 'told', iod: 2 },
    to: at('undoing', [], { failed: true }),
    effects: [{ kind: 'erase' }],
  },
  {
    promise: 'a client is answered when the open is durable',
    from: at('finishing'),
    event: { kind: 'finished' },
    to: at('open'),
    effects: [{ kind: 'answer', outcome: 'opened' }],
  },
  {
    promise: 'a name that was taken meanwhile undoes the open',
    from: at('finishing'),
    event: { kind: 'unfinished' },
    to: at('undoing', [], { failed: true }),
    effects: [{ kind: 'erase' }],
  },
  {
    promise: 'undoing takes the record first, then tells every iod that was attempted',
    from: at('undoing', [], { failed: true }),
    event: { kind: 'erased' },
    to: at('withdrawing', [0, 2], { failed: true }),
    effects: WITHDRAW,
  },
  {
    promise: 'a record that cannot be erased keeps no iod from forgetting the open',
    from: at('undoing', [], { failed: true }),
    event: { kind: 'unrecorded' },
    to: at('withdrawing', [0, 2], { failed: true }),
    effects: WITHDRAW,
  },
  {
    promise: 'a failed open is answered when it is nowhere that can be reached',
    from: at('withdrawing', [2], { failed: true }),
    event: { kind: 'released', iod: 2 },
    to: at('gone', [], { failed: true }),
    effects: [{ kind: 'answer', outcome: 'failed' }],
  },
  {
    promise: 'a close is recorded before any iod hears of it',
    from: at('open'),
    event: { kind: 'close' },
    to: at('ending'),
    effects: [{ kind: 'record', state: 'closing' }],
  },
  {
    promise: 'a recorded close goes to every iod',
    from: at('ending'),
    event: { kind: 'recorded' },
    to: at('closing', [0, 2]),
    effects: END,
  },
  {
    promise: 'a close that cannot be recorded has not begun, and may be asked for again',
    from: at('ending'),
    event: { kind: 'unrecorded' },
    to: at('open'),
    effects: [{ kind: 'answer', outcome: 'failed' }],
  },
  {
    promise: 'a close waits for every iod',
    from: at('closing', [0, 2]),
    event: { kind: 'released', iod: 0 },
    to: at('closing', [2]),
    effects: [],
  },
  {
    promise: 'a close is answered when no iod serves the capability any more',
    from: at('closing', [2]),
    event: { kind: 'released', iod: 2 },
    to: at('gone'),
    effects: [{ kind: 'answer', outcome: 'closed' }, { kind: 'erase' }],
  },
  {
    promise: 'an open that was replaced is withdrawn without waiting for leases',
    from: at('open'),
    event: { kind: 'replaced' },
    to: at('withdrawing', [0, 2]),
    effects: WITHDRAW,
  },
  ...(['ending', 'closing'] as const).map(
    (phase): Row => ({
      promise: `a second close joins the first one: ${phase}`,
      from: at(phase, [0]),
      event: { kind: 'close' },
      to: at(phase, [0]),
      effects: [],
    }),
  ),
]

for (const { promise, from, event, to, effects } of ROWS) {
  test(promise, () => {
    const before = structuredClone(from)
    assert.equal(stepOpen(from, event), [to, effects])
    assert.equal(from, before, 'the state is never changed')
  })
}

test('an open begins with its record', () => {
  assert.equal(beginOpen([0, 2]), [at('recording'), [{ kind: 'record', state: 'opening' }]])
})

test('a manager that starts forgets what never was, keeps what is open, and goes on closing', () => {
  assert.equal(resumeOpen('opening', [0, 2]), [at('gone'), [{ kind: 'erase' }]])
  assert.equal(resumeOpen('open', [0, 2]), [at('open'), []])
  assert.equal(resumeOpen('closing', [0, 2]), [at('closing', [0, 2]), END])
})

test('iods are told of an open from before the first OPEN until it is undone, or its close is recorded', () => {
  const told: readonly OpenPhase[] = ['recording', 'telling', 'finishing', 'open', 'ending']
  const not: readonly OpenPhase[] = ['undoing', 'withdrawing', 'closing', 'gone']
  assert.ok(told.every((phase) => isTold(at(phase))))
  assert.not(not.some((phase) => isTold(at(phase))))
})

test('what comes too late changes nothing', () => {
  const phases: readonly OpenPhase[] = ['open', 'undoing', 'withdrawing', 'closing', 'gone']
  for (const phase of phases) {
    for (const event of [{ kind: 'told', iod: 0 }, { kind: 'finished' }] as const)
      assert.equal(stepOpen(at(phase, [0, 2]), event), [at(phase, [0, 2]), []])
  }
})

test.run()
