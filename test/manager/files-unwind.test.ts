// T1 of recovery.md: an open that fails because of one iod leaves everything as it was, on every iod,
// and on that one when it is back.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { stat } from '../../lib/driver/namespace.js'
import { IOD } from '../../lib/protocol/iod.js'
import type { Fate } from '../../lib/transport/loopback.js'
import {
  isIodDown,
  type Opening,
  pattern,
  portOf,
  readAt,
  type SimOpen,
  World,
  writeAt,
} from '../sim/world.js'

const test = suite('files-unwind')

const IODS = 3

/** How one iod fails when it is asked for `op`; returns what makes it well again. */
const FAILURES = {
  'is down': (world: World, iod: number) => {
    world.killIod(iod)
    return async () => void (await world.run(world.startIod(iod)))
  },
  'resets its connections': (world: World, iod: number, op: number) =>
    disturb(world, iod, op, 'request', { kind: 'cut', delivered: false }),
  hangs: (world: World, iod: number, op: number) =>
    disturb(world, iod, op, 'request', { kind: 'silence' }),
  'does it, and its answers are lost': (world: World, iod: number, op: number) =>
    disturb(world, iod, op, 'answer', { kind: 'cut', delivered: false }),
  'dies when it is told': (world: World, iod: number, op: number) => {
    disturb(world, iod, op, 'request', { kind: 'cut', delivered: false }, () => world.killIod(iod))
    return async () => {
      world.heal()
      await world.run(world.startIod(iod))
    }
  },
} as const

interface Case {
  readonly options: Opening
  readonly exists: boolean
  readonly openBefore: boolean
  /** The step in which the iod fails. */
  readonly op: number
}

const OPEN = IOD.open.op
const HOLD = IOD.hold.op
const EXISTING = { create: false }

const CASES: Readonly<Record<string, Case>> = {
  'a creation': { options: {}, exists: false, openBefore: false, op: OPEN },
  'an exclusive creation': {
    options: { exclusive: true },
    exists: false,
    openBefore: false,
    op: OPEN,
  },
  'the first open of a file': { options: EXISTING, exists: true, openBefore: false, op: OPEN },
  'a further open of a file': { options: EXISTING, exists: true, openBefore: true, op: OPEN },
  'the open of an open that cuts': {
    options: { ...EXISTING, truncate: true },
    exists: true,
    openBefore: false,
    op: OPEN,
  },
  'the cut of an open that cuts': {
    options: { truncate: true },
    exists: true,
    openBefore: true,
    op: HOLD,
  },
}

for (const [what, { options, exists, openBefore, op }] of Object.entries(CASES)) {
  for (const [how, fail] of Object.entries(FAILURES)) {
    for (let iod = 0; iod < IODS; iod++) {
      test(`${what} leaves no trace when iod ${iod} of ${IODS} ${how}`, async () => {
        await using world = await World.start({ iods: IODS })
        const bytes = pattern(40_000)
        let kept: SimOpen | undefined
        if (exists) kept = await prepared(world, bytes, openBefore)
        await world.quiet()
        const before = await world.run(world.state())
        const descriptors = [0, 1, 2].map((index) => world.processOf(index).descriptors)

        const mend = fail(world, iod, op)
        const client = world.client()
        const error = await world.refused(world.open(client, '/f', { ...options, firstIod: 0 }))
        assert.ok(isIodDown(error), `${error.code} ${error.message}`)
        assert.is(error.context.iod, iod)

        await mend()
        await world.quiet()
        await world.expectAgreement()
        assert.equal(await world.run(world.state()), before)
        for (const index of [0, 1, 2]) {
          if (index !== iod) assert.is(world.processOf(index).descriptors, descriptors[index])
        }
        if (exists) {
          const { size } = await world.run(stat(client, '/f'))
          assert.is(size, bytes.length)
        }
        if (kept !== undefined) assert.equal(await world.run(readAt(kept, 0, bytes.length)), bytes)

        // And it is the iod that was the reason: now it works.
        const opened = await world.run(world.open(client, '/f', { ...options, firstIod: 0 }))
        await world.run(writeAt(opened, 0, bytes))
        await world.expectAgreement()
        await world.run(world.close(opened))
      })
    }
  }
}

async function prepared(
  world: World,
  bytes: Uint8Array,
  keep: boolean,
): Promise<SimOpen | undefined> {
  const opened = await world.run(world.open(world.client(), '/f', { firstIod: 0 }))
  await world.run(writeAt(opened, 0, bytes))
  if (keep) return opened
  await world.run(world.close(opened))
  return undefined
}

function disturb(
  world: World,
  iod: number,
  op: number,
  side: 'request' | 'answer',
  fate: Fate,
  also: () => void = () => {},
): () => Promise<void> {
  world.frames(({ to, request }, seen) => {
    if (to !== `iod-${iod}:${portOf(iod)}` || seen !== op) return undefined
    if (request !== (side === 'request')) return undefined
    also()
    return fate
  })
  return async () => world.heal()
}

test.run()
