import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  beginCut,
  type CutEffect,
  type CutEvent,
  type CutProgress,
  stepCut,
} from '../../servers/manager/cut-steps.js'

const test = suite('cut-steps')

const at = (
  phase: CutProgress['phase'],
  waiting: readonly number[] = [],
  options: { readonly failed?: boolean } = {},
): CutProgress => ({ phase, iods: [0, 2], waiting, failed: options.failed ?? false })

const ROWS: readonly (readonly [
  promise: string,
  from: CutProgress,
  event: CutEvent,
  to: CutProgress,
  effects: readonly CutEffect[],
])[] = [
  [
    'nothing is decided before every iod holds',
    at('holding', [0, 2]),
    { kind: 'held', iod: 2 },
    at('holding', [0]),
    [],
  ],
  [
    'it is decided when every iod holds',
    at('holding', [0]),
    { kind: 'held', iod: 0 },
    at('deciding'),
    [{ kind: 'decide' }],
  ],
  [
    'one iod that does not hold lets all go, when no HOLD is under way any more',
    at('holding', [0], { failed: true }),
    { kind: 'held', iod: 0 },
    at('releasing', [0, 2], { failed: true }),
    [{ kind: 'letGo' }, { kind: 'release', iod: 0 }, { kind: 'release', iod: 2 }],
  ],
  [
    'from the decision on iods that connect anew are told of it, and not to hold',
    at('deciding'),
    { kind: 'decided' },
    at('cutting', [0, 2]),
    [{ kind: 'letGo' }, { kind: 'cut', iod: 0 }, { kind: 'cut', iod: 2 }],
  ],
  [
    'what could not be decided lets all go',
    at('deciding'),
    { kind: 'undecided' },
    at('releasing', [0, 2], { failed: true }),
    [{ kind: 'letGo' }, { kind: 'release', iod: 0 }, { kind: 'release', iod: 2 }],
  ],
  [
    'it is answered when every iod has cut, or will before it serves anybody',
    at('cutting', [2]),
    { kind: 'tried', iod: 2 },
    at('done'),
    [{ kind: 'answer', outcome: 'cut' }],
  ],
  [
    'a failure is answered when every iod that can be reached has let go',
    at('releasing', [2], { failed: true }),
    { kind: 'tried', iod: 2 },
    at('done', [], { failed: true }),
    [{ kind: 'answer', outcome: 'failed' }],
  ],
  ['what comes too late changes nothing', at('done'), { kind: 'decided' }, at('done'), []],
]

for (const [promise, from, event, to, effects] of ROWS) {
  test(promise, () => assert.equal(stepCut(from, event), [to, effects]))
}

test('iods that connect anew hold from the beginning', () => {
  assert.equal(beginCut([0, 2]), [
    at('holding', [0, 2]),
    [{ kind: 'keepHeld' }, { kind: 'hold', iod: 0 }, { kind: 'hold', iod: 2 }],
  ])
})

test.run()
