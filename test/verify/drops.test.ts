import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DATA, IOD } from '../../lib/protocol/iod.js'
import { MANAGER } from '../../lib/protocol/manager.js'
import { RANKS } from '../../lib/protocol/ranks.js'
import { rejects } from '../support/assertions.js'
import { allCases, missingCases } from './drops/cases.js'
import { FAULT_KINDS, FAULTS, type Fault, nameOf } from './drops/faults.js'
import { type Case, Scene, type Target } from './drops/scene.js'

const test = suite('drops')

const MKDIR: Target = { wire: 'manager', name: 'mkdir', op: MANAGER.mkdir.op }

test('every operation of every table is played, and an operation without a case is named', () => {
  const names = [MANAGER, IOD, DATA, RANKS].flatMap((table) => Object.keys(table))
  const played = new Set(allCases().map(({ target: { wire, op } }) => `${wire} ${op}`))
  assert.is(played.size, names.length)
  assert.equal(missingCases(), [])
  const section = { wire: 'iod', ops: { write: 64, erase: 99 }, more: [] } as const
  const play: Case = { run: async () => {} }
  assert.equal(missingCases([{ ...section, cases: { write: play, rub: play } }]), [
    'iod erase',
    'iod rub',
  ])
})

test('every operation meets each of the five faults', () => {
  for (const isAmongRanks of [false, true]) {
    const faults = FAULTS.filter(({ among }) => !isAmongRanks || among !== undefined)
    assert.equal(new Set(faults.map(({ kind }) => kind)), new Set(FAULT_KINDS))
  }
})

test('every operation is done once although its answer was lost', async () => {
  for (const { target, play } of allCases()) {
    const fault = faultNamed('answer lost')
    if (target.wire !== 'ranks' || fault.among !== undefined) await Scene.play(target, fault, play)
  }
})

test('a directory is made once although the answer was lost', async () => {
  const [mkdir] = allCases().filter(({ target }) => target.name === 'mkdir')
  await Scene.play(MKDIR, faultNamed('answer lost'), mkdir?.play ?? { run: async () => {} })
})

test('a client that asks again as if it had never asked is found out', async () => {
  const again: Case = {
    run: async (scene) => {
      const { manager } = scene.world.client()
      const request = { path: '/d', mode: 0o755, uid: 0, gid: 0 }
      const deadlineMs = scene.world.timing.silenceMs
      await scene.act(async () => {
        await rejects(manager.control(MANAGER.mkdir, request, { deadlineMs }))
        await manager.control(MANAGER.mkdir, request)
      })
    },
  }
  const error = await rejects(Scene.play(MKDIR, faultNamed('answer lost'), again))
  assert.is(error.context.errno, 'EEXIST')
})

test('a case in which the operation does not happen fails', async () => {
  const idle: Case = { run: async (scene) => await scene.late() }
  try {
    await Scene.play(MKDIR, faultNamed('request lost'), idle)
  } catch (error) {
    assert.match(String(error), 'no request of mkdir was sent')
    return
  }
  assert.unreachable()
})

function faultNamed(name: string): Fault {
  const fault = FAULTS.find((each) => nameOf(each) === name)
  assert.ok(fault !== undefined, name)
  return fault
}

test.run()
