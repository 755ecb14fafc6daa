// A comparison that cannot fail is worth nothing: each kind of mistake of an interpreter must be noticed, and
// a known difference must excuse nothing but itself. Needs no MPI.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Mode } from '../../lib/file/mode.js'
import { startCluster } from '../../servers/cluster.js'
import { tableUnder } from '../support/markdown.js'
import { derivedSeed } from '../support/random.js'
import { ROOT } from '../support/repository.js'
import { Refusal } from './conflicts.js'
import { differencesOf, ENDS, LISTED } from './compare.js'
import { generate } from './generate.js'
import { standardOf } from './model.js'
import { isFailure } from './oracle.js'
import type { Line, Outcome, Program, Result, Step } from './program.js'
import { MISTAKES, runOnRankio } from './rankio.js'
import { SILENT } from './romio.js'
import { BYTE } from './types.js'

const test = suite('oracle')

/** Programs with reads, writes, probes and holes between them. */
const SEED = 20_261_125

const PROGRAMS = 10

const NOTHING = new Uint8Array(0)

test('two right interpreters make the same of a program, which is what the standard says', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  for (let n = 0; n < PROGRAMS; n++) {
    const program = generate(derivedSeed(SEED, n), 1 + (n % 2))
    const result = await runOnRankio(program, cluster, { name: `right-${n}` })
    assert.equal(differencesOf(program, standardOf(program), result, result), [])
  }
})

for (const mistake of MISTAKES) {
  test(`an interpreter with a wrong ${mistake} is noticed, on either side`, async () => {
    await using cluster = await startCluster({ iods: 3, inProcess: true })
    let isNoticed = false
    for (let n = 0; n < PROGRAMS && !isNoticed; n++) {
      const program = generate(derivedSeed(SEED, n), 1 + (n % 2))
      const standard = standardOf(program)
      const right = await runOnRankio(program, cluster, { name: `right-${n}` })
      const wrong = await runOnRankio(program, cluster, { name: `wrong-${n}`, mistake })
      isNoticed =
        isFailure(differencesOf(program, standard, wrong, right)) &&
        isFailure(differencesOf(program, standard, right, wrong))
    }
    assert.ok(isNoticed)
  })
}

test('an outcome that is missing is noticed', () => {
  const program = syncOfRead()
  const whole = resultOf(program, success)
  const none: Result = { outcomes: [], file: undefined }
  assert.ok(isFailure(differencesOf(program, standardOf(program), whole, none)))
  assert.ok(isFailure(differencesOf(program, standardOf(program), none, none)))
})

test('an end of ROMIO is known only after types that it takes apart wrongly', () => {
  const program = syncOfRead()
  const whole = resultOf(program, success)
  const ended = { ...whole, file: undefined, crash: SILENT }
  assert.ok(isFailure(differencesOf(program, standardOf(program), whole, ended)))
})

test('an end of ROMIO that locks bytes before the file is known where it takes a lower bound for data', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  const crash =
    'ADIOI_GEN_SetLock:: Invalid argument\nADIOI_GEN_SetLock:offset 18446744073709551613, length 1'
  const etype = { kind: 'basic', name: 'INT64' } as const
  for (const [lowerBound, isKnown] of [
    [-4, true],
    [0, false],
  ] as const) {
    const filetype = { kind: 'resized', lowerBound, extent: 40, type: etype } as const
    const memory = { bytes: 16, origin: 0, count: 2, type: etype }
    const lines: readonly Line[] = [
      { op: 'open', amode: 2 | 256, hints: {} },
      { op: 'view', displacement: 0, datarep: 'native', etype, filetype },
      { op: 'writeAtAll', form: 'blocking', offset: 0, memory },
      { op: 'close' },
    ]
    const program = { seed: 1, ranks: 1, base: 0, steps: lines.map((line) => [line]) }
    const right = await runOnRankio(program, cluster, { name: `locked${lowerBound}` })
    const ended = { ...right, file: undefined, crash }
    const found = differencesOf(program, standardOf(program), right, ended)
    assert.is(isFailure(found), !isKnown)
  }
})

test('that ROMIO waits for a write that has failed is known of one that is held, and of no other', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  const memory = { bytes: 16, origin: 0, count: 2, type: BYTE }
  for (const form of ['nonblocking', 'split', 'blocking'] as const) {
    const op = form === 'nonblocking' ? 'writeShared' : 'writeOrdered'
    const lines: readonly Line[] = [
      { op: 'open', amode: 2 | 32, hints: {} },
      { op: 'close' },
      { op: 'barrier' },
      { op: 'open', amode: 16, hints: {} },
      { op, form, offset: 0, memory },
      { op: 'wait' },
      { op: 'close' },
    ]
    const program = { seed: 1, ranks: 1, base: 0, steps: lines.map((line) => [line]) }
    const right = await runOnRankio(program, cluster, { name: `unseen-${form}` })
    const ended = { ...right, file: undefined, crash: SILENT }
    const found = differencesOf(program, standardOf(program), right, ended)
    assert.is(isFailure(found), form === 'blocking', form)
  }
})

test('an end of ROMIO is known by whatever it does wrong, also if its data were wrong before', async () => {
  await using cluster = await startCluster({ iods: 3, inProcess: true })
  const etype = { kind: 'basic', name: 'INT64' } as const
  const filetype = { kind: 'resized', lowerBound: -4, extent: 40, type: etype } as const
  const derived = { kind: 'vector', count: 1, blocklength: 1, stride: 1, type: etype } as const
  for (const [type, isKnown] of [
    [derived, true],
    [etype, false],
  ] as const) {
    const memory = { bytes: 16, origin: 0, count: 2, type }
    const lines: readonly Line[] = [
      { op: 'open', amode: 2 | 256, hints: {} },
      { op: 'view', displacement: 0, datarep: 'external32', etype, filetype },
      { op: 'writeAtAll', form: 'blocking', offset: 0, memory },
      { op: 'close' },
    ]
    const program = { seed: 1, ranks: 1, base: 0, steps: lines.map((line) => [line]) }
    const right = await runOnRankio(program, cluster, { name: `packed-${isKnown}` })
    const ended = { ...right, file: undefined, crash: 'Illegal instruction (signal 4)' }
    const found = differencesOf(program, standardOf(program), right, ended)
    assert.is(isFailure(found), !isKnown)
  }
})

test('a known difference excuses its own case, and not the same with other values', () => {
  const program = syncOfRead()
  const standard = standardOf(program)
  const at = (code: string): Result =>
    resultOf(program, (line) => ({ ...success(), code: line === 4 ? code : 'MPI_SUCCESS' }))
  const listed = differencesOf(program, standard, at('MPI_SUCCESS'), at('MPI_ERR_READ_ONLY'))
  assert.equal(
    listed.map((each) => each.listed),
    ['sync of a file that is read'],
  )
  const otherClass = differencesOf(program, standard, at('MPI_SUCCESS'), at('MPI_ERR_ACCESS'))
  assert.ok(isFailure(otherClass))
  const reversed = differencesOf(program, standard, at('MPI_ERR_READ_ONLY'), at('MPI_SUCCESS'))
  assert.ok(isFailure(reversed))
})

test('the end of the file excuses a count of ROMIO only where ours is the number of bytes there', () => {
  const line = {
    op: 'readAt',
    form: 'blocking',
    offset: 0,
    memory: { bytes: 8, origin: 0, count: 8, type: BYTE },
  } as const
  const program: Program = {
    seed: 1,
    ranks: 1,
    base: 0,
    steps: [[{ op: 'open', amode: 2 | 32, hints: {} }], [line], [{ op: 'close' }]],
  }
  const standard = standardOf(program)
  const buffer = standard.facts[1]?.[0]?.buffer ?? NOTHING
  const counted = (bytes: number): Result => ({
    outcomes: [
      [success()],
      [{ code: 'MPI_SUCCESS', values: { bytes, count: bytes, elements: bytes }, bytes: buffer }],
      [success()],
    ],
    file: { code: 'MPI_SUCCESS', values: { size: 0 }, bytes: NOTHING },
  })
  assert.not(isFailure(differencesOf(program, standard, counted(0), counted(8))))
  assert.ok(isFailure(differencesOf(program, standard, counted(0), counted(7))))
  assert.ok(isFailure(differencesOf(program, standard, counted(8), counted(8))))
})

test('the pointer behind a split access in the wrong mode is excused in ROMIO only', () => {
  const line = {
    op: 'writeAll',
    form: 'split',
    offset: 0,
    memory: { bytes: 4, origin: 0, count: 4, type: BYTE },
  } as const
  const { steps } = syncOfRead()
  const program: Program = {
    seed: 1,
    ranks: 1,
    base: 0,
    steps: [
      ...steps.slice(0, 4),
      [line],
      [{ op: 'wait' }],
      [{ op: 'getPosition' }],
      [{ op: 'close' }],
    ],
  }
  const standard = standardOf(program)
  const bytes = standard.facts[4]?.[0]?.buffer ?? NOTHING
  const at = (value: number, code: string): Result =>
    resultOf(program, (step) => {
      if (step === 4) return { code, values: {}, bytes }
      return step === 6 ? { ...success(), values: { value } } : success()
    })
  const [ours, theirs] = ['MPI_ERR_READ_ONLY', 'MPI_ERR_IO']
  assert.not(isFailure(differencesOf(program, standard, at(0, ours), at(4, theirs))))
  assert.ok(isFailure(differencesOf(program, standard, at(4, ours), at(4, theirs))))
})

test('a use of the shared pointer that fails is refused right behind that of another rank, as ROMIO takes a place', () => {
  const both = (line: Line): Step => [line, line]
  const open = { op: 'open', hints: {} } as const
  const memory = { bytes: 4, origin: 0, count: 4, type: BYTE }
  const write = { op: 'writeShared', form: 'blocking', offset: 0, memory } as const
  const read = { op: 'readOrdered', form: 'blocking', offset: 0, memory } as const
  const programOf = (...between: readonly Step[]): Program => ({
    seed: 1,
    ranks: 2,
    base: 0,
    steps: [
      both({ ...open, amode: Mode.CREATE | Mode.WRONLY }),
      [undefined, write],
      ...between,
      both(read),
      both({ op: 'close' }),
    ],
  })
  assert.throws(
    () => standardOf(programOf()),
    (error: unknown) => error instanceof Refusal,
  )
  assert.is(standardOf(programOf(both({ op: 'barrier' }))).facts[3]?.[0]?.fault, 'mode')
})

test('each known difference has a name of its own, and the rule, and stands in the README', () => {
  assert.is(new Set([...LISTED, ...ENDS].map(({ name }) => name)).size, LISTED.length + ENDS.length)
  for (const { name, rule } of LISTED) assert.match(rule, /MPI-4\.1 \d/, name)
  const readme = readFileSync(join(ROOT, 'test/oracle/README.md'), 'utf8')
  assert.equal(
    tableUnder(readme, 'Where ROMIO differs'),
    LISTED.map(({ name, rule }) => [name, rule]),
  )
  assert.equal(
    tableUnder(readme, 'Where ROMIO ends'),
    ENDS.map(({ name, after }) => [name, after]),
  )
})

/** Makes a file, and syncs it while it is open for reading: step 4. */
function syncOfRead(): Program {
  const steps = [
    [{ op: 'open', amode: 2 | 32, hints: {} }],
    [{ op: 'close' }],
    [{ op: 'barrier' }],
    [{ op: 'open', amode: 16, hints: {} }],
    [{ op: 'sync' }],
    [{ op: 'close' }],
  ] as const
  return { seed: 1, ranks: 1, base: 0, steps }
}

function resultOf(program: Program, outcomeOf: (step: number) => Outcome): Result {
  return {
    outcomes: program.steps.map((_, step) => [outcomeOf(step)]),
    file: { code: 'MPI_SUCCESS', values: { size: 0 }, bytes: NOTHING },
  }
}

function success(): Outcome {
  return { code: 'MPI_SUCCESS', values: {}, bytes: NOTHING }
}

test.run()
