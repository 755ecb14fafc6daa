import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { NO_ID } from '../../lib/protocol/hello.js'
import {
  type ControlEffect,
  type ControlEvent,
  type ControlState,
  controlAtStart,
  isServing,
  stepControl,
} from '../../servers/iod/control-steps.js'

const test = suite('control-steps')

/** What the managers of three epochs drew. */
const [, FIRST, SECOND, THIRD] = ['0', 'a', 'b', 'c'].map((digit) => digit.repeat(32)) as [
  string,
  string,
  string,
  string,
]

const START = controlAtStart({ epoch: 2, epochId: SECOND }, 100)
const KNOWN: ControlState = { ...START, known: true, epoch: 2, version: 7, connection: 5 }
const ARRIVING: ControlState = { ...KNOWN, incoming: { epoch: 2, version: 9 } }
const UNRECONCILED: readonly ControlEffect[] = [{ kind: 'refuse', why: 'unreconciled' }]

const ROWS: readonly (readonly [
  promise: string,
  from: ControlState,
  event: ControlEvent,
  change: Partial<ControlState>,
  effects: readonly ControlEffect[],
])[] = [
  [
    'from RECONCILE on only its connection is obeyed',
    ARRIVING,
    { kind: 'reconcile', connection: 6, epoch: 2, epochId: SECOND, version: 9 },
    { connection: 6, incoming: undefined },
    [{ kind: 'prepare' }],
  ],
  [
    'a newer epoch is remembered',
    KNOWN,
    { kind: 'reconcile', connection: 6, epoch: 3, epochId: THIRD, version: 0 },
    { obeyed: 3, obeyedId: THIRD, connection: 6 },
    [{ kind: 'obey', epoch: 3, epochId: THIRD }, { kind: 'prepare' }],
  ],
  [
    'an older epoch is refused',
    KNOWN,
    { kind: 'reconcile', connection: 6, epoch: 1, epochId: FIRST, version: 9 },
    {},
    [{ kind: 'refuse', why: 'older' }],
  ],
  [
    'another epoch of the same number is refused: the metadata of its manager are a copy',
    KNOWN,
    { kind: 'reconcile', connection: 6, epoch: 2, epochId: THIRD, version: 9 },
    {},
    [{ kind: 'refuse', why: 'older' }],
  ],
  [
    'an epoch that was obeyed before epochs had identities is obeyed again',
    { ...KNOWN, obeyedId: NO_ID },
    { kind: 'reconcile', connection: 6, epoch: 2, epochId: SECOND, version: 9 },
    { obeyedId: SECOND, connection: 6 },
    [{ kind: 'prepare' }],
  ],
  [
    'a table of the same epoch and version is the same',
    KNOWN,
    { kind: 'prepared', connection: 5, epoch: 2, version: 7 },
    {},
    [{ kind: 'hold' }, { kind: 'answer', answer: 'same' }],
  ],
  [
    'a table of another version is wanted',
    KNOWN,
    { kind: 'prepared', connection: 5, epoch: 2, version: 8 },
    {},
    [{ kind: 'hold' }, { kind: 'answer', answer: 'want' }],
  ],
  [
    'a table of another epoch is wanted, whatever its version',
    { ...KNOWN, obeyed: 3 },
    { kind: 'prepared', connection: 5, epoch: 3, version: 7 },
    {},
    [{ kind: 'hold' }, { kind: 'answer', answer: 'want' }],
  ],
  [
    'who knows nothing wants even an empty table',
    { ...START, connection: 5 },
    { kind: 'prepared', connection: 5, epoch: 0, version: 0 },
    {},
    [{ kind: 'hold' }, { kind: 'answer', answer: 'want' }],
  ],
  [
    'a RECONCILE that a newer one has overtaken is not answered',
    { ...KNOWN, connection: 6 },
    { kind: 'prepared', connection: 5, epoch: 2, version: 7 },
    {},
    UNRECONCILED,
  ],
  [
    'a first chunk begins a table',
    KNOWN,
    { kind: 'chunk', connection: 5, epoch: 2, version: 9, first: true, last: false },
    { incoming: { epoch: 2, version: 9 } },
    [{ kind: 'collect', first: true }],
  ],
  [
    'the table stays until the last chunk',
    ARRIVING,
    { kind: 'chunk', connection: 5, epoch: 2, version: 9, first: false, last: true },
    { version: 9, incoming: undefined },
    [{ kind: 'collect', first: false }, { kind: 'replace' }],
  ],
  [
    'one chunk may be the whole table',
    { ...START, connection: 5 },
    { kind: 'chunk', connection: 5, epoch: 2, version: 9, first: true, last: true },
    { known: true, epoch: 2, version: 9 },
    [{ kind: 'collect', first: true }, { kind: 'replace' }],
  ],
  [
    'a chunk before any RECONCILE is refused',
    START,
    { kind: 'chunk', connection: 5, epoch: 2, version: 9, first: true, last: true },
    {},
    UNRECONCILED,
  ],
  [
    'a chunk of another table is refused',
    ARRIVING,
    { kind: 'chunk', connection: 5, epoch: 2, version: 8, first: false, last: true },
    {},
    [{ kind: 'refuse', why: 'misplaced' }],
  ],
  [
    'a chunk without a first one is refused',
    KNOWN,
    { kind: 'chunk', connection: 5, epoch: 2, version: 9, first: false, last: true },
    {},
    [{ kind: 'refuse', why: 'misplaced' }],
  ],
  [
    'OPEN leads to its version',
    KNOWN,
    { kind: 'open', connection: 5, version: 8 },
    { version: 8 },
    [{ kind: 'install' }],
  ],
  [
    'OPEN and CLOSE may overtake each other',
    KNOWN,
    { kind: 'close', connection: 5, version: 6 },
    {},
    [{ kind: 'uninstall' }],
  ],
  [
    'OPEN on a connection that is not obeyed is refused',
    KNOWN,
    { kind: 'open', connection: 4, version: 8 },
    {},
    UNRECONCILED,
  ],
  [
    'HOLD and the like are done',
    KNOWN,
    { kind: 'other', connection: 5 },
    {},
    [{ kind: 'proceed' }],
  ],
  [
    'HOLD and the like on a connection that is not obeyed are refused',
    KNOWN,
    { kind: 'other', connection: 4 },
    {},
    UNRECONCILED,
  ],
  [
    'GO ends the belief in every connection first',
    KNOWN,
    { kind: 'adopt', epoch: 2, epochId: SECOND, version: 9 },
    { connection: undefined },
    [{ kind: 'fence' }],
  ],
  [
    'GO of a manager that a newer one has replaced is refused',
    { ...KNOWN, obeyed: 3 },
    { kind: 'adopt', epoch: 2, epochId: SECOND, version: 9 },
    {},
    [{ kind: 'refuse', why: 'older' }],
  ],
  [
    'GO of another epoch of the same number is refused',
    KNOWN,
    { kind: 'adopt', epoch: 2, epochId: THIRD, version: 9 },
    {},
    [{ kind: 'refuse', why: 'older' }],
  ],
  [
    'GO replaces the table',
    START,
    { kind: 'adopted', epoch: 2, epochId: SECOND, version: 9 },
    { known: true, epoch: 2, version: 9 },
    [{ kind: 'replace' }],
  ],
  [
    'GO of a manager that was replaced while connections were fenced is refused',
    { ...KNOWN, obeyed: 3 },
    { kind: 'adopted', epoch: 2, epochId: SECOND, version: 9 },
    {},
    [{ kind: 'refuse', why: 'older' }],
  ],
  [
    'GO is refused if another epoch of its number was obeyed while connections were fenced',
    KNOWN,
    { kind: 'adopted', epoch: 2, epochId: THIRD, version: 9 },
    {},
    [{ kind: 'refuse', why: 'older' }],
  ],
  [
    'a lease counts from the question',
    KNOWN,
    { kind: 'renewed', from: 120 },
    { leaseFrom: 120 },
    [],
  ],
  ['an old answer renews no lease', KNOWN, { kind: 'renewed', from: 90 }, {}, []],
]

for (const [promise, from, event, change, effects] of ROWS) {
  test(promise, () => {
    const before = structuredClone(from)
    assert.equal(stepControl(from, event), [{ ...from, ...change }, effects])
    assert.equal(from, before, 'the state is never changed')
  })
}

test('it serves with a state, and as long as its lease lasts', () => {
  assert.is(isServing(START, 100, 30), false)
  assert.is(isServing(KNOWN, 129, 30), true)
  assert.is(isServing(KNOWN, 130, 30), false)
})

test('only a renewal by an answer makes the lease longer: nothing that the manager says by itself does', () => {
  const said: readonly ControlEvent[] = [
    { kind: 'reconcile', connection: 5, epoch: 2, epochId: SECOND, version: 7 },
    { kind: 'prepared', connection: 5, epoch: 2, version: 7 },
    { kind: 'chunk', connection: 5, epoch: 2, version: 8, first: true, last: true },
    { kind: 'open', connection: 5, version: 9 },
    { kind: 'other', connection: 5 },
  ]
  for (const event of said) assert.is(stepControl(KNOWN, event)[0].leaseFrom, KNOWN.leaseFrom)
})

test.run()
