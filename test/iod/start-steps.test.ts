import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  beginStart,
  type StartEffect,
  type StartEvent,
  type StartPhase,
  type StartState,
  stepStart,
} from '../../servers/iod/start-steps.js'

const test = suite('start-steps')

const [ASKING] = beginStart(10)
const at = (phase: StartPhase, change: Partial<StartState> = {}): StartState => ({
  ...ASKING,
  phase,
  ...change,
})
const UP = { isListening: true, isSynced: true, isAnnounced: true } as const
const TOLD = { epoch: 2, version: 7 } as const

const ROWS: readonly (readonly [
  promise: string,
  from: StartState,
  event: StartEvent,
  to: StartState,
  effects: readonly StartEffect[],
])[] = [
  [
    'a snapshot is applied first',
    ASKING,
    { kind: 'told', ...TOLD },
    at('applying', TOLD),
    [{ kind: 'apply' }],
  ],
  [
    'what was applied is committed at its version',
    at('applying', TOLD),
    { kind: 'applied', at: 12 },
    at('committing', { ...TOLD, askedAt: 12 }),
    [{ kind: 'commit', version: 7 }],
  ],
  [
    'a newer snapshot in answer to COMMIT is applied likewise',
    at('committing', TOLD),
    { kind: 'told', epoch: 2, version: 8 },
    at('applying', { epoch: 2, version: 8 }),
    [{ kind: 'apply' }],
  ],
  [
    'GO, and not before, makes the snapshot the table',
    at('committing', TOLD),
    { kind: 'go' },
    at('adopting', TOLD),
    [{ kind: 'adopt', ...TOLD }],
  ],
  [
    'it listens after GO; its lease counts from COMMIT',
    at('adopting', { askedAt: 12 }),
    { kind: 'adopted', at: 14 },
    at('binding', { askedAt: 12, isSynced: true }),
    [{ kind: 'renew', from: 12 }, { kind: 'listen' }],
  ],
  [
    'one that listens already says READY after GO',
    at('adopting', { askedAt: 12, isListening: true }),
    { kind: 'adopted', at: 14 },
    at('announcing', { askedAt: 14, isListening: true, isSynced: true }),
    [{ kind: 'renew', from: 12 }, { kind: 'ready' }],
  ],
  [
    'a manager that knows nothing of this sync is asked anew',
    at('committing', TOLD),
    { kind: 'again', at: 20 },
    at('asking', { ...TOLD, askedAt: 20 }),
    [{ kind: 'sync' }],
  ],
  ...(['asking', 'applying', 'committing'] as const).map(
    (phase) =>
      [
        `a manager that falls silent keeps no iod from listening: ${phase}`,
        at(phase),
        { kind: 'silent' },
        at('binding'),
        [{ kind: 'listen' }],
      ] as const,
  ),
  [
    'a manager that refuses it does',
    ASKING,
    { kind: 'refused' },
    at('refused'),
    [{ kind: 'stop' }],
  ],
  [
    'one that listens says READY',
    at('binding', { isSynced: true }),
    { kind: 'listening', at: 15 },
    at('announcing', { isListening: true, isSynced: true, askedAt: 15 }),
    [{ kind: 'ready' }],
  ],
  [
    'one that listens without state goes on asking',
    at('binding'),
    { kind: 'listening', at: 15 },
    at('asking', { isListening: true, askedAt: 15 }),
    [{ kind: 'sync' }],
  ],
  [
    'silence of the manager means another attempt later, once it listens',
    at('asking', { isListening: true }),
    { kind: 'silent' },
    at('resting', { isListening: true }),
    [{ kind: 'rest' }],
  ],
  [
    'without state it asks again when it wakes',
    at('resting', { isListening: true }),
    { kind: 'woken', at: 30 },
    at('asking', { isListening: true, askedAt: 30 }),
    [{ kind: 'sync' }],
  ],
  [
    'an answered READY renews the lease from its question',
    at('announcing', { ...UP, isAnnounced: false, askedAt: 15 }),
    { kind: 'known' },
    at('resting', { ...UP, askedAt: 15 }),
    [{ kind: 'renew', from: 15 }, { kind: 'rest' }],
  ],
  [
    'a heartbeat follows',
    at('resting', UP),
    { kind: 'woken', at: 30 },
    at('beating', { ...UP, askedAt: 30 }),
    [{ kind: 'heartbeat' }],
  ],
  [
    'an answered heartbeat renews the lease from its question',
    at('beating', { ...UP, askedAt: 30 }),
    { kind: 'known' },
    at('resting', { ...UP, askedAt: 30 }),
    [{ kind: 'renew', from: 30 }, { kind: 'rest' }],
  ],
  [
    'a heartbeat that is not known renews nothing and is followed by READY',
    at('beating', { ...UP, askedAt: 30 }),
    { kind: 'unknown', at: 31 },
    at('announcing', { ...UP, isAnnounced: false, askedAt: 31 }),
    [{ kind: 'ready' }],
  ],
  [
    'after silence READY is said anew',
    at('beating', UP),
    { kind: 'silent' },
    at('resting', { ...UP, isAnnounced: false }),
    [{ kind: 'rest' }],
  ],
  [
    'READY is said when it wakes',
    at('resting', { ...UP, isAnnounced: false }),
    { kind: 'woken', at: 40 },
    at('announcing', { ...UP, isAnnounced: false, askedAt: 40 }),
    [{ kind: 'ready' }],
  ],
  [
    'READY to a manager that waits for a sync begins it',
    at('announcing', UP),
    { kind: 'again', at: 40 },
    at('asking', { isListening: true, askedAt: 40 }),
    [{ kind: 'sync' }],
  ],
  [
    'a refusal is no reason to stop once it serves',
    at('beating', UP),
    { kind: 'refused' },
    at('resting', { ...UP, isAnnounced: false }),
    [{ kind: 'rest' }],
  ],
]

for (const [promise, from, event, to, effects] of ROWS) {
  test(promise, () => {
    const before = structuredClone(from)
    assert.equal(stepStart(from, event), [to, effects])
    assert.equal(from, before, 'the state is never changed')
  })
}

test('a start begins with SYNC, and does not listen', () => {
  assert.equal(beginStart(10), [at('asking'), [{ kind: 'sync' }]])
  assert.is(ASKING.isListening, false)
})

test.run()
