// `npm run verify:drops`: every operation of the protocol tables, with each of the faults of one frame: its
// request lost, its answer lost, either of them twice, late beyond every deadline, or cut. The outcome is
// that of one operation, within the deadline, and stays so when what was late has arrived.
//
//   -- [--operation NAME] [--fault NAME]
//
// An operation without a case fails.

import { Options } from '../support/options.js'
import { allCases, missingCases } from './drops/cases.js'
import { FAULT_KINDS, FAULTS, nameOf } from './drops/faults.js'
import { Scene } from './drops/scene.js'

const options = new Options('verify:drops', { operation: 'value', fault: 'value' })
const names = new Set(allCases().map(({ target }) => target.name))
const operation = options.word('operation', [...names])
const onlyFault = options.word('fault', FAULTS.map(nameOf))

let passed = 0
let failed = 0
const started = performance.now()
for (const missing of missingCases()) {
  console.log(`FAIL ${missing}: it has no case`)
  failed++
}
const chosen = allCases().filter(
  ({ target }) => operation === undefined || target.name === operation,
)
for (const { target, play } of chosen) {
  const faults = FAULTS.filter(
    (fault) =>
      (target.wire !== 'ranks' || fault.among !== undefined) &&
      (onlyFault === undefined || nameOf(fault) === onlyFault),
  )
  for (const fault of faults) {
    try {
      await Scene.play(target, fault, play)
      passed++
    } catch (error) {
      failed++
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
      console.log(`FAIL ${target.wire} ${target.name}, ${nameOf(fault)}: ${why}`)
    }
  }
}
const operations = new Set(chosen.map(({ target }) => `${target.wire} ${target.name}`)).size
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(`${operations} operations, ${FAULT_KINDS.length} faults each, ${seconds} s`)
console.log(`${passed} passed, ${failed} failed`)
if (failed > 0 || passed === 0) process.exitCode = 1
