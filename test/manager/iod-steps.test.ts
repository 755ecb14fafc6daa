import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type IodEffect,
  type IodEvent,
  type IodView,
  iodAtStart,
  isComing,
  isCurrent,
  isReleased,
  leaseEnd,
  NO_GENERATION,
  stepIod,
} from '../../servers/manager/iod-steps.js'

const test = suite('iod-steps')

const START = iodAtStart(3, 100)
const UP: IodView = { ...START, phase: 'up', version: 7, acknowledged: 7, agreed: 7, covered: 5 }
const OPEN: IodView = { ...UP, generation: 2, link: 'open', offered: 5 }
const RECONCILING: IodView = { ...UP, generation: 2, link: 'reconciling', offered: 7 }
const SYNCING: IodView = { ...UP, phase: 'syncing' }
const STARTING: IodView = { ...UP, phase: 'starting' }

interface Row {
  readonly promise: string
  readonly from: IodView
  readonly event: IodEvent
  /** What is different afterwards. */
  readonly change?: Partial<IodView>
  readonly effects: readonly IodEffect[]
}

const SUPERSEDED: IodEffect = { kind: 'refuse', why: 'superseded' }

const ROWS: readonly Row[] = [
  {
    promise: 'SYNC of a newer start ends the connection at once, and is made durable',
    from: OPEN,
    event: { kind: 'sync', incarnation: 4 },
    change: { phase: 'syncing', incarnation: 4, link: 'none' },
    effects: [{ kind: 'disconnect' }, { kind: 'wake' }, { kind: 'remember', incarnation: 4 }],
  },
  {
    promise: 'SYNC of the same start begins anew',
    from: STARTING,
    event: { kind: 'sync', incarnation: 3 },
    change: { phase: 'syncing' },
    effects: [{ kind: 'wake' }, { kind: 'remember', incarnation: 3 }],
  },
  {
    promise: 'SYNC of an older start is refused',
    from: UP,
    event: { kind: 'sync', incarnation: 2 },
    effects: [SUPERSEDED],
  },
  {
    promise: 'the snapshot is of the version at which the start is durable',
    from: SYNCING,
    event: { kind: 'recorded', incarnation: 3 },
    effects: [{ kind: 'snapshot', version: 7 }],
  },
  {
    promise: 'a start that another one has overtaken meanwhile gets no snapshot',
    from: { ...SYNCING, incarnation: 4 },
    event: { kind: 'recorded', incarnation: 3 },
    effects: [SUPERSEDED],
  },
  {
    promise: 'COMMIT at the present version is answered with GO; it covers nothing yet',
    from: SYNCING,
    event: { kind: 'commit', incarnation: 3, version: 7, idle: true, at: 130 },
    change: { phase: 'starting', renewedAt: 130 },
    effects: [{ kind: 'wake' }, { kind: 'go' }],
  },
  {
    promise: 'COMMIT is repeated after a GO that was not heard',
    from: STARTING,
    event: { kind: 'commit', incarnation: 3, version: 7, idle: true, at: 130 },
    change: { renewedAt: 130 },
    effects: [{ kind: 'wake' }, { kind: 'go' }],
  },
  {
    promise: 'a repeated COMMIT that is behind by now goes back to syncing',
    from: { ...STARTING, version: 8 },
    event: { kind: 'commit', incarnation: 3, version: 7, idle: true, at: 130 },
    change: { phase: 'syncing' },
    effects: [{ kind: 'snapshot', version: 8 }],
  },
  {
    promise: 'COMMIT while something is left to be done gets that',
    from: SYNCING,
    event: { kind: 'commit', incarnation: 3, version: 7, idle: false, at: 130 },
    effects: [{ kind: 'snapshot', version: 7 }],
  },
  {
    promise: 'COMMIT to a manager that knows nothing of a sync begins anew',
    from: START,
    event: { kind: 'commit', incarnation: 3, version: 7, idle: true, at: 130 },
    effects: [{ kind: 'again' }],
  },
  {
    promise: 'COMMIT of an older start is refused',
    from: SYNCING,
    event: { kind: 'commit', incarnation: 2, version: 7, idle: true, at: 130 },
    effects: [SUPERSEDED],
  },
  {
    promise: 'READY after GO is followed by RECONCILE on a new connection',
    from: STARTING,
    event: { kind: 'ready', incarnation: 3 },
    change: { phase: 'up' },
    effects: [{ kind: 'wake' }, { kind: 'connect' }],
  },
  {
    promise: 'READY to a manager that was started since ends what connection there is',
    from: { ...RECONCILING, phase: 'down' },
    event: { kind: 'ready', incarnation: 3 },
    change: { phase: 'up', link: 'none' },
    effects: [{ kind: 'disconnect' }, { kind: 'wake' }, { kind: 'connect' }],
  },
  {
    promise: 'READY once more keeps the connection',
    from: OPEN,
    event: { kind: 'ready', incarnation: 3 },
    effects: [{ kind: 'connect' }],
  },
  {
    promise: 'READY in the middle of a sync begins anew',
    from: SYNCING,
    event: { kind: 'ready', incarnation: 3 },
    effects: [{ kind: 'again' }],
  },
  {
    promise: 'READY of an older start is refused',
    from: STARTING,
    event: { kind: 'ready', incarnation: 2 },
    effects: [SUPERSEDED],
  },
  ...(['commit', 'ready'] as const).map(
    (kind): Row => ({
      promise: `a start that this manager never heard of begins with SYNC: ${kind}`,
      from: STARTING,
      event: { kind, incarnation: 4, version: 7, idle: true, at: 130 },
      effects: [{ kind: 'again' }],
    }),
  ),
  {
    promise: 'a heartbeat of a start that this manager never heard of asks for READY',
    from: OPEN,
    event: { kind: 'heartbeat', incarnation: 4, sameEpoch: true, version: 7, at: 140 },
    effects: [{ kind: 'answer', known: false }],
  },
  {
    promise: 'READY is answered when the tables agree, and the lease counts anew',
    from: OPEN,
    event: { kind: 'tried', incarnation: 3, at: 140 },
    change: { renewedAt: 140 },
    effects: [{ kind: 'answer', known: true }],
  },
  {
    promise: 'READY of an iod that could not be reached renews nothing',
    from: UP,
    event: { kind: 'tried', incarnation: 3, at: 140 },
    effects: [{ kind: 'answer', known: false }],
  },
  {
    promise: 'a heartbeat of an iod that agrees renews its lease',
    from: { ...OPEN, acknowledged: 8 },
    event: { kind: 'heartbeat', incarnation: 3, sameEpoch: true, version: 7, at: 140 },
    change: { agreed: 8, renewedAt: 140 },
    effects: [{ kind: 'answer', known: true }],
  },
  {
    promise: 'a heartbeat of an iod that is behind ends the connection and renews nothing',
    from: OPEN,
    event: { kind: 'heartbeat', incarnation: 3, sameEpoch: true, version: 6, at: 140 },
    change: { link: 'none' },
    effects: [{ kind: 'disconnect' }, { kind: 'connect' }, { kind: 'answer', known: false }],
  },
  {
    promise: 'a heartbeat with the table of another manager is behind',
    from: OPEN,
    event: { kind: 'heartbeat', incarnation: 3, sameEpoch: false, version: 9, at: 140 },
    change: { link: 'none' },
    effects: [{ kind: 'disconnect' }, { kind: 'connect' }, { kind: 'answer', known: false }],
  },
  {
    promise: 'a heartbeat of an iod to which no connection stands renews nothing',
    from: UP,
    event: { kind: 'heartbeat', incarnation: 3, sameEpoch: true, version: 7, at: 140 },
    effects: [{ kind: 'answer', known: false }],
  },
  {
    promise: 'a heartbeat to a manager that was started since asks for READY',
    from: START,
    event: { kind: 'heartbeat', incarnation: 3, sameEpoch: false, version: 7, at: 140 },
    effects: [{ kind: 'answer', known: false }],
  },
  {
    promise: 'a heartbeat of an older start is refused',
    from: OPEN,
    event: { kind: 'heartbeat', incarnation: 2, sameEpoch: true, version: 7, at: 140 },
    effects: [SUPERSEDED],
  },
  {
    promise: 'a connection begins with RECONCILE at the present version',
    from: UP,
    event: { kind: 'connected', incarnation: 3 },
    change: { generation: 1, link: 'reconciling', offered: 7 },
    effects: [{ kind: 'reconcile', generation: 1, version: 7 }],
  },
  {
    promise: 'a connection to another start is refused',
    from: UP,
    event: { kind: 'connected', incarnation: 4 },
    effects: [{ kind: 'refuse', why: 'unsynced' }],
  },
  {
    promise: 'a connection to an iod that is just syncing is refused',
    from: SYNCING,
    event: { kind: 'connected', incarnation: 3 },
    effects: [{ kind: 'refuse', why: 'unsynced' }],
  },
  {
    promise: 'an agreed connection brings an iod up that was thought to be down',
    from: { ...RECONCILING, phase: 'down', acknowledged: 0 },
    event: { kind: 'reconciled', generation: 2, complete: true },
    change: { phase: 'up', link: 'open', acknowledged: 7, covered: 7 },
    effects: [{ kind: 'wake' }],
  },
  {
    promise: 'what was missed during RECONCILE is told by another one',
    from: { ...RECONCILING, version: 8, missed: 8 },
    event: { kind: 'reconciled', generation: 2, complete: true },
    change: { offered: 8, covered: 7 },
    effects: [{ kind: 'wake' }, { kind: 'reconcile', generation: 2, version: 8 }],
  },
  {
    promise: 'what an iod must still do after RECONCILE is told by another one',
    from: RECONCILING,
    event: { kind: 'reconciled', generation: 2, complete: false },
    change: { covered: 7 },
    effects: [{ kind: 'wake' }, { kind: 'reconcile', generation: 2, version: 7 }],
  },
  {
    promise: 'a change that is on its way needs no other RECONCILE',
    from: { ...RECONCILING, version: 8 },
    event: { kind: 'reconciled', generation: 2, complete: true },
    change: { link: 'open', covered: 7 },
    effects: [{ kind: 'wake' }],
  },
  {
    promise: 'the answer on an older connection is not believed',
    from: { ...RECONCILING, generation: 3 },
    event: { kind: 'reconciled', generation: 2, complete: true },
    effects: [{ kind: 'refuse', why: 'outdated' }],
  },
  {
    promise: 'the answer on a connection that was given up is not believed',
    from: { ...UP, generation: 2 },
    event: { kind: 'reconciled', generation: 2, complete: true },
    effects: [{ kind: 'refuse', why: 'outdated' }],
  },
  {
    promise: 'a connection is lost',
    from: OPEN,
    event: { kind: 'lost', generation: 2 },
    change: { link: 'none' },
    effects: [],
  },
  {
    promise: 'that an older connection ends is nothing new',
    from: OPEN,
    event: { kind: 'lost', generation: 1 },
    effects: [],
  },
  {
    promise: 'a change of the table is a version',
    from: OPEN,
    event: { kind: 'changed' },
    change: { version: 8 },
    effects: [],
  },
  {
    promise: 'acknowledgements come in any order',
    from: OPEN,
    event: { kind: 'acknowledged', incarnation: 3, version: 6 },
    effects: [],
  },
  {
    promise: 'an acknowledgement of an older start is nothing',
    from: OPEN,
    event: { kind: 'acknowledged', incarnation: 2, version: 9 },
    effects: [],
  },
  {
    promise: 'a missed change is a version of its own and ends the connection',
    from: OPEN,
    event: { kind: 'missed' },
    change: { version: 8, missed: 8, link: 'none' },
    effects: [{ kind: 'disconnect' }],
  },
  {
    promise: 'a change that is missed during RECONCILE leaves the connection',
    from: RECONCILING,
    event: { kind: 'missed' },
    change: { version: 8, missed: 8 },
    effects: [],
  },
  {
    promise: 'a call without an answer ends the connection: what was lost need not be known',
    from: OPEN,
    event: { kind: 'unanswered', incarnation: 3, generation: OPEN.generation },
    change: { phase: 'down', link: 'none' },
    effects: [{ kind: 'disconnect' }, { kind: 'wake' }],
  },
  {
    promise:
      'a call that was made before the connection was agreed leaves it: it may have waited for it all along',
    from: OPEN,
    event: { kind: 'unanswered', incarnation: 3, generation: OPEN.generation - 1 },
    effects: [],
  },
  {
    promise:
      'a call without an answer ends a connection that is being agreed: the iod may never answer RECONCILE',
    from: RECONCILING,
    event: { kind: 'unanswered', incarnation: 3, generation: NO_GENERATION },
    change: { phase: 'down', link: 'none' },
    effects: [{ kind: 'disconnect' }, { kind: 'wake' }],
  },
  {
    promise: 'a call that was made while a connection was being agreed leaves it once it is open',
    from: OPEN,
    event: { kind: 'unanswered', incarnation: 3, generation: NO_GENERATION },
    effects: [],
  },
  {
    promise: 'that an older start did not answer says nothing of this one',
    from: OPEN,
    event: { kind: 'unanswered', incarnation: 2, generation: OPEN.generation },
    effects: [],
  },
  {
    promise: 'no answer from an iod that is syncing is no news',
    from: SYNCING,
    event: { kind: 'unanswered', incarnation: 3, generation: OPEN.generation },
    effects: [],
  },
]

for (const { promise, from, event, change = {}, effects } of ROWS) {
  test(promise, () => {
    const before = structuredClone(from)
    assert.equal(stepIod(from, event), [{ ...from, ...change }, effects])
    assert.equal(from, before, 'the state is never changed')
  })
}

test('calls wait for an iod that is coming, and are tried on one that is down', () => {
  assert.equal([START, SYNCING, STARTING, UP].map(isComing), [false, true, true, false])
})

test('an iod is current only with a connection that is agreed', () => {
  assert.equal([UP, RECONCILING, OPEN, SYNCING].map(isCurrent), [false, false, true, false])
})

test('what a capability protected is released by a whole table, or by the end of the lease', () => {
  assert.is(leaseEnd(UP, 30), 130)
  assert.is(isReleased(UP, 5, 100, 30), true)
  assert.is(isReleased(UP, 6, 129, 30), false)
  assert.is(isReleased(UP, 6, 130, 30), true)
})

test.run()
